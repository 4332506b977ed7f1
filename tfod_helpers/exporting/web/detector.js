"use strict";
// A photo -> its detections: resized as in training, through the network, decoded.

class Detector {
  constructor(model, anchors, facts) {
    Object.assign(this, { model, anchors, facts });
  }

  static async load(facts) {
    const names = ["model.json", "weights.bin", "tfjs-backend-wasm-simd.wasm", "anchors.npy"];
    const [topology, weights, wasm, anchors] = await Promise.all(names.map(asset));
    const artifacts = { topology: JSON.parse(new TextDecoder().decode(topology)), weights };
    return new Detector(await Model.load(artifacts, wasm), readNpy(anchors), facts);
  }

  // source: what a canvas can draw, so large. Returns {found, ms}: boxes in its pixels, the most confident first, and
  // the time that it took.
  async detect(source, width, height) {
    const start = performance.now();
    const square = toSquare(width, height, rowReader(source, width), this.facts);
    const outputs = await this.model.run(square.pixels);
    const found = decode(outputs, this.anchors, this.facts.side, this.facts.nms);
    return { found: toPhoto(found, square, width, height), ms: performance.now() - start };
  }

  async detectBlob(blob, name) {
    const bitmap = await openPhoto(blob, name);
    const { width, height } = bitmap;
    const { found } = await this.detect(bitmap, width, height);
    bitmap.close();
    return { found, width, height };
  }
}
