//! A moment with all its nanoseconds. `Date` has milliseconds only, so it is a conversion, not the type.

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
   * The text of RFC 3339, exactly: without a fraction if there is none, else with 3, 6 or 9 digits. An error outside
   * the years that a `Date` can hold.
   */
  toString(): string {
    const text = new Timestamp(this.seconds).toDate().toISOString().slice(0, -5);
    const digits = String(this.nanoseconds)
      .padStart(9, "0")
      .replace(/^(...)(...)000$/, "$1$2")
      .replace(/000$/, "");
    return this.nanoseconds === 0 ? `${text}Z` : `${text}.${digits}Z`;
  }

  /** The same text, for documents. */
  toJSON(): string {
    return this.toString();
  }
}
