/* Moments as the standard library and as people write them. */
#include "call.h"

#define SECONDS_A_DAY 86400

struct timespec kennel_timespec(kennel_timestamp time) {
    struct timespec converted;
    converted.tv_sec = (time_t)time.seconds;
    converted.tv_nsec = (long)time.nanoseconds;
    if ((int64_t)converted.tv_sec != time.seconds) {
        kennel_reject("time_t cannot hold %lld seconds", (long long)time.seconds);
    }
    return converted;
}

int64_t kennel_unix_milliseconds(kennel_timestamp time) {
    int64_t milliseconds;
    if (__builtin_mul_overflow(time.seconds, (int64_t)1000, &milliseconds) ||
        __builtin_add_overflow(milliseconds, (int64_t)(time.nanoseconds / 1000000), &milliseconds)) {
        return time.seconds < 0 ? INT64_MIN : INT64_MAX;
    }
    return milliseconds;
}

static int64_t floor_divide(int64_t value, int64_t by) {
    return value / by - (value % by < 0 ? 1 : 0);
}

/* `.123`, `.123456` or `.123456789`, as short as it can be; nothing for no nanoseconds. */
static kennel_text fraction(uint32_t nanoseconds) {
    unsigned value = (unsigned)nanoseconds;
    if (value == 0) {
        return kennel_text_of("");
    }
    if (value % 1000000 == 0) {
        return kennel_format(".%03u", value / 1000000);
    }
    return value % 1000 == 0 ? kennel_format(".%06u", value / 1000) : kennel_format(".%09u", value);
}

kennel_text kennel_rfc3339(kennel_timestamp time) {
    int64_t days = floor_divide(time.seconds, SECONDS_A_DAY);
    int second = (int)((time.seconds % SECONDS_A_DAY + SECONDS_A_DAY) % SECONDS_A_DAY);
    /* The calendar of years that begin in March, whose leap day comes last. Day 0 is the first of March, year 0. */
    int64_t day = days + 719468;
    int64_t era = floor_divide(day, 146097);
    int64_t day_of_era = day - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    int day_of_month = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    int month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    long long year = era * 400 + year_of_era + (month <= 2 ? 1 : 0);
    const char *sign = year < 0 ? "-" : year > 9999 ? "+" : "";
    return kennel_format("%s%04lld-%02d-%02dT%02d:%02d:%02d%sZ", sign, year < 0 ? -year : year, month, day_of_month,
                         second / 3600, second / 60 % 60, second % 60, fraction(time.nanoseconds).data);
}
