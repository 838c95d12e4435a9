//! A moment with all its nanoseconds. `Date` has milliseconds only, so it is a conversion, not the type.

/** Seconds of a day. */
const DAY = 86_400;

/** A moment, in UTC. */
export class Timestamp {
  constructor(
    /** Whole seconds since the beginning of 1970, negative before it. */
    readonly seconds: number,
    /** Nanoseconds from there on: less than a second, never negative. */
    readonly nanoseconds: number = 0,
  ) {
    if (!Number.isSafeInteger(seconds)) throw new RangeError(`${seconds} seconds are not exact`);
    if (!(nanoseconds >= 0 && nanoseconds < 1e9 && nanoseconds % 1 === 0)) {
      throw new RangeError(`${nanoseconds} nanoseconds are not part of a second`);
    }
  }

  /** The moment of a `Date`, exactly. */
  static fromDate(date: Date): Timestamp {
    const milliseconds = date.getTime();
    const seconds = Math.floor(milliseconds / 1000);
    return new Timestamp(seconds, (milliseconds - seconds * 1000) * 1e6);
  }

  /** A `Date`: to the millisecond, rounded down. An error outside the years that a `Date` can hold. */
  toDate(): Date {
    const date = new Date(this.seconds * 1000 + Math.floor(this.nanoseconds / 1e6));
    if (Number.isNaN(date.getTime())) throw new RangeError(`${this.seconds} seconds are beyond the range of Date`);
    return date;
  }

  /** Nanoseconds since the beginning of 1970, exactly. */
  unixNanoseconds(): bigint {
    return BigInt(this.seconds) * 1_000_000_000n + BigInt(this.nanoseconds);
  }

  /**
   * The text of RFC 3339, exactly: without a fraction if there is none, else with 3, 6 or 9 digits. Years that have
   * more than four digits or are negative have a sign.
   */
  toString(): string {
    const days = Math.floor(this.seconds / DAY);
    const rest = this.seconds - days * DAY;
    const [year, month, day] = dateOf(days);
    const sign = year < 0 ? "-" : year > 9999 ? "+" : "";
    const date = `${sign}${padded(Math.abs(year), 4)}-${padded(month, 2)}-${padded(day, 2)}`;
    const [hours, minutes] = [Math.floor(rest / 3600), Math.floor(rest / 60) % 60];
    const time = `${padded(hours, 2)}:${padded(minutes, 2)}:${padded(rest % 60, 2)}`;
    const digits = padded(this.nanoseconds, 9)
      .replace(/^(...)(...)000$/, "$1$2")
      .replace(/000$/, "");
    return `${date}T${time}${this.nanoseconds === 0 ? "" : `.${digits}`}Z`;
  }

  /** The same text, for documents. */
  toJSON(): string {
    return this.toString();
  }
}

/** Year, month and day of the days since the beginning of 1970, in any year: a `Date` has only some of them. */
function dateOf(days: number): [year: number, month: number, day: number] {
  // The calendar repeats after 400 years. Years begin in March here, so that a leap day is the last of its year.
  const sinceMarch = days + 719_468;
  const era = Math.floor(sinceMarch / 146_097);
  const dayOfEra = sinceMarch - era * 146_097;
  const leapDays = Math.floor(dayOfEra / 1460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096);
  const yearOfEra = Math.floor((dayOfEra - leapDays) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1;
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  return [yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day];
}

function padded(number: number, digits: number): string {
  return String(number).padStart(digits, "0");
}
