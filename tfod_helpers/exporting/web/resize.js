"use strict";
// A photo's pixels -> the model's square input, as the photos of the training were resized: with Pillow's bilinear
// filter, which widens when it shrinks, so that no pixel is skipped. A canvas shrinks otherwise, and that costs AP.
// The arithmetic is Pillow's (libImaging/Resample.c and Reduce.c), in whole numbers, rounded after each pass.

const PRECISION = 22; // bits behind the point of a weight: 255 * 2^22 still fits 32 bits
const REDUCING_GAP = 2; // a photo so many times too large is first averaged over whole blocks of pixels

// Python's round(): a half goes to the even number.
function roundHalfEven(value) {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

// The size that a photo has within the square: its own shape ("letterbox"), or the whole square.
function fittedSize(width, height, side, how) {
  if (how !== "letterbox") return { width: side, height: side };
  const longest = Math.max(width, height);
  const fit = (length) => Math.max(1, roundHalfEven((length * side) / longest));
  return { width: fit(width), height: fit(height) };
}

// By which whole factor `length` pixels are averaged before they are resized to `wanted`.
function reducingFactor(length, wanted) {
  return Math.max(1, Math.trunc(length / wanted / REDUCING_GAP));
}

// Averages blocks of pixels; those at the right and lower edge may be smaller.
// `image` is {width, height, data}, data RGB or RGBA by `channels`; what comes back is RGB.
function reduce(image, channels, factorX, factorY) {
  const width = Math.ceil(image.width / factorX), height = Math.ceil(image.height / factorY);
  const data = new Uint8ClampedArray(width * height * 3);
  for (let y = 0; y < height; y++) {
    const bottom = Math.min((y + 1) * factorY, image.height);
    for (let x = 0; x < width; x++) {
      const right = Math.min((x + 1) * factorX, image.width);
      let red = 0, green = 0, blue = 0;
      for (let row = y * factorY; row < bottom; row++) {
        const end = (row * image.width + right) * channels;
        for (let at = (row * image.width + x * factorX) * channels; at < end; at += channels) {
          red += image.data[at];
          green += image.data[at + 1];
          blue += image.data[at + 2];
        }
      }
      const count = (bottom - y * factorY) * (right - x * factorX), half = count >> 1, to = (y * width + x) * 3;
      const share = Math.trunc(2 ** 24 / count); // as Pillow divides, in whole numbers
      data[to] = Math.trunc(((red + half) * share) / 2 ** 24);
      data[to + 1] = Math.trunc(((green + half) * share) / 2 ** 24);
      data[to + 2] = Math.trunc(((blue + half) * share) / 2 ** 24);
    }
  }
  return { width, height, data };
}

// Which pixels of `length` each of `wanted` ones is made of, and with which weights. `covered` pixels of them are
// the photo: fewer than `length`, and a fraction, where the last block of a reduced photo was not full.
function triangleWeights(length, covered, wanted) {
  const scale = covered / wanted, support = Math.max(scale, 1);
  const rows = [];
  for (let to = 0; to < wanted; to++) {
    const centre = (to + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(length, Math.trunc(centre + support + 0.5));
    const weights = [];
    for (let from = start; from < end; from++) {
      weights.push(Math.max(0, 1 - Math.abs((from - centre + 0.5) / support)));
    }
    const sum = weights.reduce((total, weight) => total + weight, 0);
    rows.push({ start, weights: Int32Array.from(weights, (weight) => Math.trunc((weight / sum) * 2 ** PRECISION + 0.5)) });
  }
  return rows;
}

// Resizes one axis of an RGB image: `step` numbers lie between neighbours on that axis, `lines` start at `lineStep`s.
function resizeAxis(data, rows, { step, lines, lineStep }, { outStep, outLineStep }) {
  const out = new Uint8ClampedArray(rows.length * lines * 3);
  for (let line = 0; line < lines; line++) {
    for (let to = 0; to < rows.length; to++) {
      const { start, weights } = rows[to];
      let red = 1 << (PRECISION - 1), green = red, blue = red; // a half, for rounding
      let at = line * lineStep + start * step;
      for (let number = 0; number < weights.length; number++, at += step) {
        red += data[at] * weights[number];
        green += data[at + 1] * weights[number];
        blue += data[at + 2] * weights[number];
      }
      const place = line * outLineStep + to * outStep;
      out[place] = red >> PRECISION;
      out[place + 1] = green >> PRECISION;
      out[place + 2] = blue >> PRECISION;
    }
  }
  return out;
}

// Resizes an RGB image of which `covered` = {width, height} pixels are the photo; an axis that fits is left alone.
function resizeRgb(image, covered, size) {
  let { data, width, height } = image;
  if (size.width !== width || covered.width !== width) {
    const rows = triangleWeights(width, covered.width, size.width);
    data = resizeAxis(data, rows, { step: 3, lines: height, lineStep: width * 3 }, { outStep: 3, outLineStep: size.width * 3 });
    width = size.width;
  }
  if (size.height !== height || covered.height !== height) {
    const rows = triangleWeights(height, covered.height, size.height);
    const line = width * 3;
    data = resizeAxis(data, rows, { step: line, lines: width, lineStep: 3 }, { outStep: line, outLineStep: 3 });
    height = size.height;
  }
  return { data, width, height };
}

// Makes the model's input of a photo.
//
// readRows(top, count) returns {data}, the RGBA pixels of some rows, so that a large photo is never held whole;
// how = {side, resize: "letterbox", "stretch" or "stretch_bilinear", mean: [r, g, b] of a letterbox's padding}.
// Returns {pixels: RGB of the square, scaleX, scaleY: from the photo's pixels to the square's}.
function toSquare(width, height, readRows, how) {
  if (how.resize === "stretch_bilinear") return sample(width, height, readRows, how.side);
  const size = fittedSize(width, height, how.side, how.resize);
  const factorX = reducingFactor(width, size.width), factorY = reducingFactor(height, size.height);
  const reduced = { width: Math.ceil(width / factorX), height: Math.ceil(height / factorY) };
  reduced.data = new Uint8ClampedArray(reduced.width * reduced.height * 3);
  const strip = factorY * Math.max(1, Math.trunc(256 / factorY));
  for (let top = 0; top < height; top += strip) {
    const count = Math.min(strip, height - top);
    const part = reduce({ data: readRows(top, count).data, width, height: count }, 4, factorX, factorY);
    reduced.data.set(part.data, (top / factorY) * reduced.width * 3);
  }
  const covered = { width: width / factorX, height: height / factorY };
  const fitted = resizeRgb(reduced, covered, size);
  const pixels = new Uint8ClampedArray(how.side * how.side * 3);
  for (let at = 0; at < pixels.length; at += 3) pixels.set(how.mean, at);
  for (let row = 0; row < size.height; row++) {
    pixels.set(fitted.data.subarray(row * size.width * 3, (row + 1) * size.width * 3), row * how.side * 3);
  }
  return { pixels, scaleX: size.width / width, scaleY: size.height / height };
}

// Makes the square of pixels that each lie between four of the photo, as the Object Detection API did.
function sample(width, height, readRows, side) {
  const scaleX = width / side, scaleY = height / side, pixels = new Uint8ClampedArray(side * side * 3);
  for (let row = 0; row < side; row++) {
    const top = Math.trunc(row * scaleY), count = Math.min(2, height - top), down = row * scaleY - top;
    const { data } = readRows(top, count);
    const below = (count - 1) * width * 4; // in the last row the same pixels once more
    for (let column = 0; column < side; column++) {
      const left = Math.trunc(column * scaleX), across = column * scaleX - left;
      const at = left * 4, beside = left + 1 < width ? 4 : 0;
      for (let colour = 0; colour < 3; colour++) {
        const upper = mix(data[at + colour], data[at + beside + colour], across);
        const lower = mix(data[below + at + colour], data[below + at + beside + colour], across);
        pixels[(row * side + column) * 3 + colour] = Math.round(mix(upper, lower, down));
      }
    }
  }
  return { pixels, scaleX: side / width, scaleY: side / height };
}

function mix(one, other, share) {
  return one + (other - one) * share;
}
