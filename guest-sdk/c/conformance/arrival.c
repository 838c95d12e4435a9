/* What an event looks like when it arrives, and what the clock and the generator of random numbers say. */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "conformance.h"

static void write_field(kennel_writer *writer, const char *name, kennel_text text) {
    kennel_write_name(writer, kennel_text_of(name));
    if (text.data == NULL) {
        kennel_write_null(writer);
    } else {
        kennel_write_text(writer, text);
    }
}

static void write_whole(kennel_writer *writer, const char *name, uint64_t value) {
    kennel_write_name(writer, kennel_text_of(name));
    kennel_write_unsigned(writer, value);
}

static void write_payload(kennel_writer *writer, const kennel_event *event) {
    kennel_write_name(writer, kennel_text_of("payload"));
    kennel_write_object(writer);
    if (event->payload_kind == KENNEL_PAYLOAD_JSON) {
        write_field(writer, "json", event->payload);
    } else {
        kennel_write_name(writer, kennel_text_of("binary"));
        kennel_write_array(writer);
        for (size_t i = 0; i < event->payload.length; i++) {
            kennel_write_unsigned(writer, (unsigned char)event->payload.data[i]);
        }
        kennel_write_array_end(writer);
    }
    kennel_write_object_end(writer);
}

static void write_created_at(kennel_writer *writer, kennel_timestamp time) {
    kennel_write_name(writer, kennel_text_of("created_at"));
    kennel_write_object(writer);
    kennel_write_name(writer, kennel_text_of("seconds"));
    kennel_write_integer(writer, time.seconds);
    write_whole(writer, "nanoseconds", time.nanoseconds);
    write_field(writer, "rfc3339", kennel_rfc3339(time));
    kennel_write_object_end(writer);
}

void record_arrival(const kennel_event *event) {
    kennel_writer writer = {0};
    kennel_write_object(&writer);
    write_whole(&writer, "position", event->position);
    write_field(&writer, "bounded_context", event->bounded_context);
    write_field(&writer, "aggregate_type", event->aggregate_type);
    write_field(&writer, "aggregate_id", event->aggregate_id);
    write_whole(&writer, "aggregate_version", event->aggregate_version);
    write_field(&writer, "event_id", event->event_id);
    write_field(&writer, "event_type", event->event_type);
    write_whole(&writer, "event_version", event->event_version);
    write_payload(&writer, event);
    write_field(&writer, "metadata", event->metadata);
    write_field(&writer, "trace_id", event->trace_id);
    write_field(&writer, "correlation_id", event->correlation_id);
    write_field(&writer, "causation_id", event->causation_id);
    write_created_at(&writer, event->created_at);
    kennel_write_object_end(&writer);
    kennel_put_text("arrivals", event->event_id, kennel_written(&writer));
}

void record_chance(const kennel_event *event) {
    kennel_json into = kennel_json_find(kennel_payload_json(event), "into");
    struct timespec now;
    uint64_t random = 0;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0 || getentropy(&random, sizeof random) != 0) {
        kennel_reject("there is neither clock nor chance");
    }
    kennel_timestamp moment = {now.tv_sec, (uint32_t)now.tv_nsec};
    kennel_writer writer = {0};
    kennel_write_object(&writer);
    write_field(&writer, "now", kennel_rfc3339(moment));
    write_field(&writer, "random", kennel_format("%llu", (unsigned long long)random));
    kennel_write_object_end(&writer);
    kennel_put_text("chance", kennel_json_text(into), kennel_written(&writer));
}
