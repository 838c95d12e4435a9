//! A generator for `Math.random` that begins anew with each event, so that a replay sees the same numbers.

let next = generator(0);

/** Takes the place of `Math.random`: one function, since modules may keep hold of it when they are loaded. */
export function random(): number {
  return next();
}

/** Begins the random numbers of the event at this position. */
export function beginRandom(position: number): void {
  next = generator(position);
}

/** Numbers from 0 up to, and without, 1: the same for the same seed. They are no secret. */
export function generator(seed: number): () => number {
  let state = (seed ^ Math.floor(seed / 2 ** 32)) >>> 0;
  // Mulberry32, which passes the usual tests of randomness and needs no more than 32 bits.
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
