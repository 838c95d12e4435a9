//! Where the lines of a bundle come from, as text that costs nothing until a handler throws.
//!
//! The form: names of files joined by `|`, then `;`, then for each line of the bundle `FILE:LINE` or nothing, joined by
//! `,`. FILE is the number of a name.

/** For each line of the bundle, from 1 on, `FILE:LINE` of the source, or nothing. */
export type LineMap = readonly (string | undefined)[];

/** Reads the text. */
export function read(text: string): LineMap {
  const split = text.lastIndexOf(";");
  const files = text.slice(0, split).split("|");
  const lines = text.slice(split + 1).split(",");
  return lines.map((entry) => {
    const [file, line] = entry.split(":");
    return line === undefined ? undefined : `${files[Number(file)]}:${line}`;
  });
}

/** Writes the text. */
export function write(lines: LineMap): string {
  const files: string[] = [];
  const entries = lines.map((place) => {
    if (place === undefined) return "";
    const colon = place.lastIndexOf(":");
    const file = place.slice(0, colon).replace(/[|;]/g, "_");
    if (!files.includes(file)) files.push(file);
    return `${files.indexOf(file)}:${place.slice(colon + 1)}`;
  });
  return `${files.join("|")};${entries.join(",")}`;
}

/** Replaces the places in the frames of a stack; frames without a source are left out. */
export function mapStack(stack: string, lines: LineMap): string {
  const mapped = stack.split("\n").map((frame) => {
    const place = /\(?[^\s()]*:([0-9]+):[0-9]+\)?$/.exec(frame);
    if (place === null) return frame;
    const source = lines[Number(place[1])];
    return source === undefined ? "" : `${frame.slice(0, place.index)}(${source})`;
  });
  return mapped.filter((frame) => frame !== "").join("\n");
}
