// What the reader does to the image: erase, paint, drop a sequence; and take it back.

const [KEPT, ERASED, PAINTED] = [0, 1, 2];

class Edits {
  constructor(width, height, channels) {
    this.size = [width, height, channels];
    this.reset();
  }

  reset() {
    const [width, height, channels] = this.size;
    this.marks = new Uint8Array(width * height);
    this.dropped = new Array(channels).fill(false);
    this.past = [];
  }

  get any() {
    return this.dropped.some(Boolean) || this.marks.some(Boolean);
  }

  remember() {
    this.past = [...this.past.slice(-19), this.marks.slice()];
  }

  undo() {
    this.marks = this.past.pop() ?? this.marks;
  }

  /** Mark a disk of brain pixels. */
  stroke(x, y, radius, mark, brain) {
    const [width, height] = this.size;
    for (let j = Math.max(0, Math.ceil(y - radius)); j <= Math.min(height - 1, y + radius); j += 1) {
      for (let i = Math.max(0, Math.ceil(x - radius)); i <= Math.min(width - 1, x + radius); i += 1) {
        const inside = (i - x) ** 2 + (j - y) ** 2 <= radius ** 2 + 0.25;
        if (inside && brain[j * width + i]) this.marks[j * width + i] = mark;
      }
    }
  }

  /** Mark the pixels where `region` says so. */
  fill(region, mark) {
    region.forEach((inside, i) => inside && (this.marks[i] = mark));
  }

  /** The image as edited; `tone` is each channel's value under the paint brush. */
  apply(image, brain, tone) {
    const [width, height, channels] = this.size;
    const pixels = width * height;
    const edited = image.slice();
    for (let c = 0; c < channels; c += 1) {
      const plane = edited.subarray(c * pixels, (c + 1) * pixels);
      if (this.dropped[c]) plane.fill(0);
      else {
        this.marks.forEach((mark, i) => mark === PAINTED && (plane[i] = tone[c]));
        inpaint(plane, this.marks, brain, width, height);
      }
    }
    return edited;
  }
}

/** Fill erased pixels from the brain around them: first their mean, then smoothly. */
const inpaint = (plane, marks, brain, width, height) => {
  const erased = [];
  marks.forEach((mark, i) => mark === ERASED && erased.push(i));
  if (!erased.length) return;
  const around = (i) => {
    const x = i % width;
    const near = [x > 0 ? i - 1 : -1, x < width - 1 ? i + 1 : -1, i - width, i + width];
    return near.filter((j) => j >= 0 && j < width * height && (brain[j] || marks[j] === ERASED));
  };
  const neighbors = erased.map(around);
  const edge = new Set(neighbors.flat().filter((j) => marks[j] !== ERASED));
  let sum = 0;
  edge.forEach((j) => (sum += plane[j]));
  const mean = edge.size ? sum / edge.size : 0;
  erased.forEach((i) => (plane[i] = mean));
  for (let sweep = 0; sweep < 60; sweep += 1) {
    erased.forEach((i, n) => {
      const near = neighbors[n];
      if (!near.length) return;
      let total = 0;
      for (const j of near) total += plane[j];
      plane[i] = total / near.length;
    });
  }
};

/** Mean of each channel where there is tumor, or its brightest brain where there is none. */
const tumorTone = (image, labels, brain, channels) => {
  const pixels = labels.length;
  return Array.from({ length: channels }, (_, c) => {
    let [sum, count, top] = [0, 0, 0];
    for (let i = 0; i < pixels; i += 1) {
      const value = image[c * pixels + i];
      if (labels[i] > 0) [sum, count] = [sum + value, count + 1];
      if (brain[i]) top = Math.max(top, value);
    }
    return count ? sum / count : top;
  });
};
