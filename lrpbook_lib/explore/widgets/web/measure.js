// What a heatmap amounts to: the same sums as in lrpbook_lib.guidance.

/** Heatmap (channels summed), its limit, score, and shares by region and by sequence. */
const measure = (relevance, { shape: [channels], regions }, labels, brain) => {
  const pixels = labels.length;
  const heat = new Float32Array(pixels);
  const sequences = new Array(channels).fill(0);
  let all = 0;
  for (let c = 0; c < channels; c += 1) {
    for (let i = 0; i < pixels; i += 1) {
      const value = relevance[c * pixels + i];
      heat[i] += value;
      sequences[c] += Math.abs(value);
      all += Math.abs(value);
    }
  }
  const sums = { 0: 0 };
  let [inside, total] = [0, 0];
  for (let i = 0; i < pixels; i += 1) {
    const value = Math.max(heat[i], 0);
    if (labels[i] > 0) inside += value;
    if (labels[i] > 0 || brain[i]) {
      total += value;
      sums[labels[i]] = (sums[labels[i]] ?? 0) + value;
    }
  }
  const share = (value, of) => (of > 0 ? value / of : 0);
  return {
    heat,
    limit: limitOf(heat),
    score: share(inside, total),
    regions: [...regions.map(([label]) => label), 0].map((label) => share(sums[label] ?? 0, total)),
    sequences: sequences.map((value) => share(value, all)),
  };
};

/** The 99.8th percentile of magnitudes: one pixel must not blacken all others. */
const limitOf = (heat) => {
  const sizes = Float32Array.from(heat, Math.abs).sort();
  const at = 0.998 * (sizes.length - 1);
  const low = Math.floor(at);
  const limit = sizes[low] + (at - low) * (sizes[Math.min(low + 1, sizes.length - 1)] - sizes[low]);
  return limit || sizes.at(-1) || 1;
};

const chanceOf = (labels, brain) => {
  let [tumor, both] = [0, 0];
  labels.forEach((label, i) => {
    tumor += label > 0;
    both += label > 0 || brain[i] > 0;
  });
  return both ? tumor / both : 0;
};

const softmax = (logits) => {
  const top = Math.max(...logits);
  const powers = logits.map((value) => Math.exp(value - top));
  const sum = powers.reduce((total, value) => total + value, 0);
  return powers.map((value) => value / sum);
};

const argmax = (values) => values.indexOf(Math.max(...values));
