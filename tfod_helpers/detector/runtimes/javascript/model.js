"use strict";
// A model in TensorFlow.js's format, run on the fastest of this browser's backends that can be trusted.

const TOLERANCE = 0.01; // how far WebGPU's outputs may lie from WASM's: logits and encoded boxes, so 0.3 % of a score
const TRIES = 3; // runs that are timed

class Model {
  // artifacts: {topology: the parsed model.json, weights: ArrayBuffer of its one shard}; wasm: ArrayBuffer of the
  // WASM backend with SIMD. Resolves as soon as photos can be detected; `settled` once no other backend is tried.
  static async load(artifacts, wasm) {
    const model = new Model(artifacts);
    const backend = (await useWasm(wasm)) ? "wasm" : "cpu";
    model.current = await model.#on(backend);
    model.settled = model.#tryWebGpu().catch((error) => console.info(`WebGPU is not used: ${error}`));
    return model;
  }

  constructor({ topology, weights }) {
    this.topology = topology;
    this.weights = weights;
    const [input] = Object.values(topology.signature.inputs);
    this.shape = [1, ...input.tensorShape.dim.slice(1).map(({ size }) => Number(size))]; // [1, side, side, 3]
    this.last = Promise.resolve();
  }

  get backend() {
    return this.current.backend;
  }

  // pixels: RGB of one square, side * side * 3 numbers from 0 to 255. Returns {boxes, logits}, flat Float32Arrays.
  run(pixels) {
    return this.#alone(() => this.#execute(this.current, pixels));
  }

  // One job at a time: the backend in use is the library's, not the job's.
  #alone(job) {
    const done = this.last.then(job);
    this.last = done.catch(() => {});
    return done;
  }

  // Loads the model on a backend, runs it once, which makes what later runs reuse, and times it, unless it takes far
  // longer than `limit` ms. Between these steps photos have their turn.
  async #on(backend, limit = Infinity) {
    const loaded = await this.#alone(() => this.#load(backend));
    const count = this.shape.reduce((all, one) => all * one);
    const pixels = Float32Array.from({ length: count }, (_, at) => (at * 7919) % 256);
    const outputs = await this.#alone(() => this.#execute(loaded, pixels));
    const times = [];
    do {
      times.push(await this.#alone(async () => {
        const start = performance.now();
        await this.#execute(loaded, pixels);
        return performance.now() - start;
      }));
    } while (times.length < TRIES && times[0] < 2 * limit);
    return { ...loaded, outputs, ms: Math.min(...times) };
  }

  async #load(backend) {
    if (!(await tf.setBackend(backend))) throw new Error(`the backend ${backend} does not start`);
    const { modelTopology, signature, weightsManifest } = this.topology;
    const weightSpecs = weightsManifest.flatMap(({ weights }) => weights);
    const source = tf.io.fromMemory({ modelTopology, signature, weightSpecs, weightData: this.weights });
    return { backend, graph: await tf.loadGraphModel(source) };
  }

  async #execute({ backend, graph }, pixels) {
    await tf.setBackend(backend);
    const names = ["boxes", "logits"];
    const tensors = tf.tidy(() => {
      const input = tf.tensor(Float32Array.from(pixels), this.shape);
      return graph.execute(input, names.map((name) => this.topology.signature.outputs[name].name));
    });
    const values = await Promise.all(tensors.map((tensor) => tensor.data()));
    tf.dispose(tensors);
    return Object.fromEntries(names.map((name, number) => [name, values[number]]));
  }

  async #tryWebGpu() {
    if (!(await navigator.gpu?.requestAdapter())) return;
    const before = this.current;
    const other = await this.#on("webgpu", before.ms);
    const apart = Math.max(...["boxes", "logits"].map((name) => farthest(before.outputs[name], other.outputs[name])));
    const better = apart <= TOLERANCE && other.ms < before.ms;
    if (better) this.current = other;
    (better ? before : other).graph.dispose();
    console.info(`WebGPU: ${other.ms.toFixed(1)} ms, ${before.backend}: ${before.ms.toFixed(1)} ms, ${apart} apart`);
  }
}

function farthest(one, other) {
  let most = 0;
  for (let at = 0; at < one.length; at++) {
    const apart = Math.abs(one[at] - other[at]);
    if (!(apart <= most)) most = apart; // what is no number is kept, and then no tolerance holds
  }
  return most;
}

// Prepares the WASM backend; whether this browser has WASM with SIMD.
async function useWasm(bytes) {
  tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false); // threads need another file, and headers of a web server
  try {
    if (!(await tf.env().getAsync("WASM_HAS_SIMD_SUPPORT"))) return false;
    const url = URL.createObjectURL(new Blob([bytes], { type: "application/wasm" }));
    tf.wasm.setWasmPaths({ "tfjs-backend-wasm-simd.wasm": url, "tfjs-backend-wasm.wasm": url, "tfjs-backend-wasm-threaded-simd.wasm": url });
    return await tf.setBackend("wasm");
  } catch (error) {
    console.info(`WASM is not used: ${error}`);
    return false;
  }
}
