// Who computes a heatmap: a Python kernel, this page, or nobody (stored ones are shown).
// Each answers `explain(wish)` with logits and, channel by channel, relevance.

/** Bytes that came with the widget, or from a file that the whole site shares. */
const asset = async (entry) => {
  if (!entry) throw new Error("it did not come along");
  if (!entry.shared) return inflate(entry);
  globalThis.lrpxShared ??= {};
  if (!globalThis.lrpxShared[entry.shared]) {
    // A script, for it loads from a file as well, where a browser refuses to fetch.
    const root = document.documentElement.dataset.content_root ?? "./";
    const src = new URL(`${root}_static/shared/${entry.shared}.js`, document.baseURI).href;
    await new Promise((done, fail) => {
      const missing = () => fail(new Error(`${src} did not load`));
      document.head.append(h("script", { src, onload: done, onerror: missing }));
    });
  }
  return inflate(fromBase64(globalThis.lrpxShared[entry.shared]));
};

/** Asks the kernel; `ready` resolves once one has answered. */
class Kernel {
  constructor(model) {
    this.model = model;
    this.waiting = new Map();
    this.words = "Python";
    this.ready = new Promise((done) => (this.greeted = done));
    this.hear = (message, buffers) => {
      if (message.kind === "hello") this.greeted();
      const settle = this.waiting.get(message.id);
      if (!settle) return;
      this.waiting.delete(message.id);
      if (message.error) return settle.fail(new Error(message.error));
      const { buffer, byteOffset, byteLength } = buffers[0];
      const bytes = buffer.slice(byteOffset, byteOffset + byteLength);
      settle.done({ logits: message.logits, relevance: new Float32Array(bytes) });
    };
    model.on("msg:custom", this.hear);
    try {
      model.send({ kind: "hello" });
    } catch {
      // A page without a kernel may have nobody to send to.
    }
  }

  explain({ slice, edited, image, model, composite, target, epsilon, gamma }) {
    const id = freshId();
    const message = { kind: "explain", id, slice, edited, model, composite, target, epsilon, gamma };
    return new Promise((done, fail) => {
      this.waiting.set(id, { done, fail });
      this.model.send(message, undefined, edited ? [image.slice().buffer] : []);
    });
  }

  close() {
    this.model.off("msg:custom", this.hear);
  }
}

/** The page's one worker: explorers share it, and with it the runtime's memory. */
const sharedWorker = (assets) => {
  globalThis.lrpxWorker ??= (async () => {
    const [script, wasm] = await Promise.all(
      ["runtime:script", "runtime:wasm"].map((name) => asset(assets[name])),
    );
    const code = new Blob([WORKER], { type: "text/javascript" });
    const worker = new Worker(URL.createObjectURL(code));
    const waiting = new Map();
    worker.onmessage = ({ data }) => {
      const { done, fail } = waiting.get(data.id);
      waiting.delete(data.id);
      if (data.error) fail(new Error(data.error));
      else done(data);
    };
    const broken = new Promise((_, fail) => {
      worker.onerror = (event) => fail(new Error(event.message || "the worker did not start"));
    });
    const ask = (message, transfer = []) => {
      const id = freshId();
      const answer = new Promise((done, fail) => waiting.set(id, { done, fail }));
      worker.postMessage({ ...message, id }, transfer);
      return Promise.race([answer, broken]);
    };
    await ask({ kind: "start", script, wasm: wasm.buffer }, [wasm.buffer]);
    return ask;
  })();
  globalThis.lrpxWorker.catch(() => delete globalThis.lrpxWorker);
  return globalThis.lrpxWorker;
};

/** Runs the exported program of each composite with the weights of each model. */
class Page {
  constructor(about, assets) {
    this.about = about;
    this.assets = assets;
    this.words = "this page";
    this.sent = new Map();
  }

  static lacks(assets) {
    if (typeof WebAssembly !== "object") return "this browser has WebAssembly switched off";
    if (!Object.keys(assets).some((name) => name.startsWith("program:"))) {
      return "the models could not be written as ONNX programs";
    }
    if (!assets["runtime:wasm"]) return "there is no kernel, and no runtime came with this page";
    return "";
  }

  async start() {
    this.ask = await sharedWorker(this.assets);
    return this;
  }

  /** Send a program or weights to the worker, once. */
  once(name, message) {
    const entry = this.assets[name];
    const key = entry?.shared ?? `${this.about.key}/${name}`;
    if (!this.sent.has(key)) {
      this.sent.set(key, asset(entry).then((bytes) => this.ask({ ...message(bytes), key })));
    }
    return this.sent.get(key).then(() => key);
  }

  async explain({ image, model, composite, target, epsilon, gamma }) {
    const { tensors } = this.about.models.find((each) => each.name === model);
    const [program, weights] = await Promise.all([
      this.once(`program:${composite}:${model}`, (bytes) => ({ kind: "program", bytes })),
      this.once(`weights:${model}`, (bytes) => ({
        kind: "weights",
        values: new Float32Array(bytes.buffer),
        tensors,
      })),
    ]);
    const [x, shape] = [image.slice(), this.about.shape];
    return this.ask({ kind: "run", program, model: weights, x, shape, target, epsilon, gamma });
  }

  close() {}
}

/**
 * Run `act` with the latest wish: while one is under way, only the last one waits. The
 * promise is kept once nothing is left to do.
 */
const latestWins = (act) => {
  let under = null;
  let again = false;
  const run = async () => {
    try {
      while (again) {
        again = false;
        await act();
      }
    } finally {
      under = null;
    }
  };
  return () => {
    again = true;
    under ??= run();
    return under;
  };
};
