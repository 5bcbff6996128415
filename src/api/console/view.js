// Where one looks at a picture: how much it is enlarged, and which of its points is in the middle.

const MOST_PIXELS = 64;
const SMOOTH_BELOW = 3;

/** One view that several panes of the same size share. Pixels of the picture are the unit. */
export class View {
  /** @param {{width: number, height: number}} picture its size in pixels */
  constructor(picture) {
    this.picture = picture;
    this.pane = { width: 1, height: 1 };
    this.reset();
  }

  /** Shows the whole picture. */
  reset() {
    this.zoom = 1;
    this.x = this.picture.width / 2;
    this.y = this.picture.height / 2;
  }

  /** @param {{width: number, height: number}} pane its size in CSS pixels */
  resize(pane) {
    this.pane = { width: Math.max(1, pane.width), height: Math.max(1, pane.height) };
    this.#hold();
  }

  /** CSS pixels per pixel of the picture. */
  get scale() {
    return this.zoom * this.#fit;
  }

  /** Whether pixels are so large that they should have edges. */
  get showsPixels() {
    return this.scale * devicePixelRatio >= SMOOTH_BELOW;
  }

  /** The CSS transform that moves the picture's top left corner from the pane's to its place. */
  get transform() {
    const left = this.pane.width / 2 - this.x * this.scale;
    const top = this.pane.height / 2 - this.y * this.scale;
    return `translate(${left}px, ${top}px) scale(${this.scale})`;
  }

  /**
   * Enlarges, and leaves one point of the pane where it is.
   * @param {number} factor
   * @param {{x: number, y: number}} [at] in CSS pixels from the pane's top left corner; its middle if left out
   */
  enlarge(factor, at = { x: this.pane.width / 2, y: this.pane.height / 2 }) {
    const before = this.scale;
    this.zoom = Math.min(Math.max(1, this.zoom * factor), Math.max(1, MOST_PIXELS / this.#fit));
    const shift = 1 / before - 1 / this.scale;
    this.x += (at.x - this.pane.width / 2) * shift;
    this.y += (at.y - this.pane.height / 2) * shift;
    this.#hold();
  }

  /**
   * Moves the picture by CSS pixels.
   * @param {number} right
   * @param {number} down
   */
  move(right, down) {
    this.x -= right / this.scale;
    this.y -= down / this.scale;
    this.#hold();
  }

  /** Keeps the middle of the pane on the picture, and the picture in the middle while all of it is seen. */
  #hold() {
    const hold = (value, size, pane) => {
      const half = pane / this.scale / 2;
      return half * 2 >= size ? size / 2 : Math.min(Math.max(value, half), size - half);
    };
    this.x = hold(this.x, this.picture.width, this.pane.width);
    this.y = hold(this.y, this.picture.height, this.pane.height);
  }

  get #fit() {
    return Math.min(this.pane.width / this.picture.width, this.pane.height / this.picture.height);
  }
}
