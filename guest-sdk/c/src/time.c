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

kennel_text kennel_rfc3339(kennel_timestamp time) {
    const int64_t year_0 = -62167219200, year_10000 = 253402300800;
    if (time.seconds < year_0 || time.seconds >= year_10000) {
        kennel_reject("%lld seconds since 1970 are not in the years 0 to 9999", (long long)time.seconds);
    }
    int64_t since_year_0 = time.seconds - year_0;
    int64_t second = since_year_0 % SECONDS_A_DAY;
    /* The calendar of years that begin in March, whose leap day comes last. Day 0 is the first of March, year 0. */
    int64_t day = since_year_0 / SECONDS_A_DAY - 60 + 146097;
    int64_t era = day / 146097;
    int64_t day_of_era = day % 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    int day_of_month = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    int month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    int year = (int)((era - 1) * 400 + year_of_era + (month <= 2 ? 1 : 0));
    return kennel_format("%04d-%02d-%02dT%02d:%02d:%02d.%09uZ", year, month, day_of_month, (int)(second / 3600),
                         (int)(second / 60 % 60), (int)(second % 60), (unsigned)time.nanoseconds);
}
