// The outline of a mask as a path along pixel edges: sharp at every magnification.

/** From 8-bit grey to inside or outside. */
const INSIDE = 128;

/**
 * Reads a mask picture.
 * @param {ImageBitmap} picture
 * @returns {{width: number, height: number, path: string, area: number}} an SVG path in pixels, to be filled by
 *   the even-odd rule, and the number of pixels inside
 */
export function outline(picture) {
  const { width, height } = picture;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  const levels = context.getImageData(0, 0, width, height).data;
  const inside = (x, y) => x >= 0 && y >= 0 && x < width && y < height && levels[4 * (y * width + x)] >= INSIDE;
  return { width, height, ...trace(inside, width, height) };
}

/**
 * Walks around every part of a mask, and around every hole.
 * @param {(x: number, y: number) => boolean} inside
 * @param {number} width
 * @param {number} height
 * @returns {{path: string, area: number}}
 */
export function trace(inside, width, height) {
  // Every edge between inside and outside leads from one corner to the next with the inside on its right.
  const ends = new Map();
  const corner = (x, y) => y * (width + 1) + x;
  const add = (from, to) => (ends.has(from) ? ends.get(from).push(to) : ends.set(from, [to]));
  let area = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!inside(x, y)) continue;
      area++;
      if (!inside(x, y - 1)) add(corner(x, y), corner(x + 1, y));
      if (!inside(x + 1, y)) add(corner(x + 1, y), corner(x + 1, y + 1));
      if (!inside(x, y + 1)) add(corner(x + 1, y + 1), corner(x, y + 1));
      if (!inside(x - 1, y)) add(corner(x, y + 1), corner(x, y));
    }
  }
  const loops = [];
  for (const start of ends.keys()) {
    while (ends.get(start).length) loops.push(loop(start, ends, width + 1));
  }
  return { path: loops.join(""), area };
}

/** Takes one closed loop out of the edges; straight runs become one line. */
function loop(start, ends, columns) {
  let path = `M${start % columns} ${Math.floor(start / columns)}`;
  let at = start;
  let direction = 0;
  do {
    const next = ends.get(at).pop();
    if (direction !== 0 && next - at !== direction) path += lineTo(at, direction, columns);
    direction = next - at;
    at = next;
  } while (at !== start);
  return `${path}Z`;
}

function lineTo(corner, direction, columns) {
  return Math.abs(direction) === 1 ? `H${corner % columns}` : `V${Math.floor(corner / columns)}`;
}
