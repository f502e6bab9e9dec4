// Runs relevance programs away from the page's own thread, one at a time.
let ort = null;
const programs = new Map();
const weights = new Map();

const acts = {
  async start({ script, wasm }) {
    // From a file, a worker may import only from addresses that it made itself.
    ort = await import(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
    ort.env.wasm.wasmBinary = wasm;
    ort.env.wasm.numThreads = 1; // more would need headers that a plain server lacks
    ort.env.logLevel = "error";
  },
  async program({ key, bytes }) {
    if (!programs.has(key)) programs.set(key, await ort.InferenceSession.create(bytes));
  },
  async weights({ key, values, tensors }) {
    const feeds = {};
    let from = 0;
    for (const [name, shape] of tensors) {
      const size = shape.reduce((product, edge) => product * edge, 1);
      feeds[name] = new ort.Tensor("float32", values.slice(from, from + size), shape);
      from += size;
    }
    weights.set(key, feeds);
  },
  async run({ program, model, x, shape, target, epsilon, gamma }) {
    const session = programs.get(program);
    const given = {
      ...weights.get(model),
      x: new ort.Tensor("float32", x, [1, ...shape]),
      target: new ort.Tensor("int64", BigInt64Array.of(BigInt(target)), [1]),
      epsilon: new ort.Tensor("float32", Float32Array.of(epsilon), []),
      gamma: new ort.Tensor("float32", Float32Array.of(gamma), []),
    };
    // A network with a map of its own has no knobs to turn.
    const feeds = session.inputNames.map((name) => [name, given[name]]);
    const { logits, relevance } = await session.run(Object.fromEntries(feeds));
    return { logits: Array.from(logits.data), relevance: relevance.data.slice() };
  },
};

let queue = Promise.resolve();
onmessage = ({ data }) => {
  queue = queue.then(async () => {
    try {
      const answer = (await acts[data.kind](data)) ?? {};
      postMessage({ id: data.id, ...answer }, answer.relevance ? [answer.relevance.buffer] : []);
    } catch (error) {
      postMessage({ id: data.id, error: String(error?.message ?? error) });
    }
  });
};
