//! Reads the line that each line of a bundle comes from out of its source map (version 3).

/** The parts of a source map that are needed. */
export interface SourceMap {
  sources: string[];
  mappings: string;
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** For each line of the bundle, from 0 on: the index of its source and the line in it, from 1 on. */
export function linesOf(map: SourceMap): ([source: number, line: number] | undefined)[] {
  let source = 0;
  let line = 0;
  return map.mappings.split(";").map((segments) => {
    let first: [number, number] | undefined;
    for (const segment of segments.split(",")) {
      const [, sourceMore, lineMore] = numbersOf(segment);
      if (sourceMore === undefined || lineMore === undefined) continue;
      source += sourceMore;
      line += lineMore;
      first ??= [source, line + 1];
    }
    return first;
  });
}

/** The numbers of a segment, in base 64 with variable length: five bits a digit, the lowest bit of all is the sign. */
function numbersOf(segment: string): number[] {
  const numbers: number[] = [];
  let value = 0;
  let shift = 0;
  for (const character of segment) {
    const digit = DIGITS.indexOf(character);
    value |= (digit & 31) << shift;
    shift += 5;
    if ((digit & 32) !== 0) continue;
    numbers.push((value & 1) === 1 ? -(value >> 1) : value >> 1);
    value = 0;
    shift = 0;
  }
  return numbers;
}
