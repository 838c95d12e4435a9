//! Finds JSON text with numbers that the engine may have rounded without a trace: those with a fraction.
//!
//! `split` is by far the fastest way to find a character in the engine of guests: an expression or `indexOf` would take
//! longer than all the rest of reading a payload.

/** Digits up to which a `number` keeps all of them, whatever they are. */
const KEPT_DIGITS = 15;

/** Characters that are looked at in one go, which bounds the memory that it takes. */
const PART = 65_536;

/** Characters that the next part has in common: numbers are longer only if they have many digits, which is seen. */
const OVERLAP = 1024;

/** What may stand before a number. */
const BEFORE_NUMBER = ":,[ \t\n\r";

/** Whether JSON text may have a number with a fraction that has more digits than a `number` keeps. */
export function mayHaveLongFraction(text: string): boolean {
  if (text.length <= PART) return isFound(text, true);
  for (let from = 0; from < text.length; from += PART) {
    if (isFound(text.slice(from, from + PART + OVERLAP), from === 0)) return true;
  }
  return false;
}

function isFound(part: string, isFirst: boolean): boolean {
  const points = part.split(".");
  if (points.length > 1 && isAnyLong(points, isFirst, isLong)) return true;
  const exponents = part.split("e-");
  if (exponents.length > 1 && isAnyLong(exponents, isFirst, isAny)) return true;
  const capitals = part.split("E-");
  return capitals.length > 1 && isAnyLong(capitals, isFirst, isAny);
}

/** Numbers with a negative exponent may be too small for a `number`, however few digits they have. */
function isAny(): boolean {
  return true;
}

/** Whether `isLong` holds for a number that goes over the end of a piece into the next: `digits` of it are before. */
function isAnyLong(pieces: string[], isFirst: boolean, isLong: (digits: number, after: string) => boolean): boolean {
  for (let at = 0; at < pieces.length - 1; at += 1) {
    const before = pieces[at] as string;
    if (!isDigit(before, before.length - 1)) continue;
    let start = before.length - 1;
    while (isDigit(before, start - 1) || before[start - 1] === ".") start -= 1;
    const digits = before.length - start;
    if (before[start - 1] === "-") start -= 1;
    // Many strings have the like inside: dates, hosts, UUIDs.
    const isNumber = start > 0 ? BEFORE_NUMBER.includes(before.charAt(start - 1)) : at === 0 && isFirst;
    if (isNumber && isLong(digits, pieces[at + 1] as string)) return true;
  }
  return false;
}

function isLong(digits: number, after: string): boolean {
  let end = 0;
  while (isDigit(after, end)) end += 1;
  return digits + end > KEPT_DIGITS || after[end] === "e" || after[end] === "E";
}

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 48 && code <= 57;
}
