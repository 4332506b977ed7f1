"use strict";
// A photo with its detections, on a canvas.

const LINE = 3, TEXT = 14, PAD = 4; // CSS pixels, however large the photo is shown
const LETTERS = 28; // of a class name on the picture; the table has all of it
const LONGEST = 2048, SHORTEST = 1024; // pixels of the canvas's longer side: sharp lines, and within any browser's limits

// Draws a photo of {source, width, height} with boxes in its pixels, on a canvas that the page has laid out.
function drawPhoto(canvas, { source, width, height }, found, classes) {
  const longest = Math.max(width, height);
  const scale = Math.min(Math.max(longest, SHORTEST), LONGEST) / longest;
  const size = { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
  if (canvas.width !== size.width || canvas.height !== size.height) Object.assign(canvas, size);
  const context = canvas.getContext("2d");
  context.fillStyle = "white"; // behind what is transparent
  context.fillRect(0, 0, size.width, size.height);
  context.drawImage(source, 0, 0, size.width, size.height);
  const shown = canvas.getBoundingClientRect().width || size.width;
  const unit = size.width / shown; // canvas pixels a CSS pixel
  const surestLast = [...found].reverse(); // on top; and no box crosses a name
  for (const box of surestLast) drawBox(context, box, classes[box.classId - 1], scale, unit);
  for (const box of surestLast) drawName(context, box, classes[box.classId - 1], scale, unit);
}

function drawBox(context, box, { colour }, scale, unit) {
  const left = box.xmin * scale, top = box.ymin * scale;
  const width = (box.xmax - box.xmin) * scale, height = (box.ymax - box.ymin) * scale;
  context.lineWidth = (LINE + 2) * unit;
  context.strokeStyle = "rgb(255 255 255 / .8)"; // a rim, so that the box shows on anything
  context.strokeRect(left, top, width, height);
  context.lineWidth = LINE * unit;
  context.strokeStyle = colour;
  context.strokeRect(left, top, width, height);
}

function drawName(context, box, { name, colour, ink }, scale, unit) {
  const left = box.xmin * scale, top = box.ymin * scale;
  const text = `${shortened(name)} ${box.score.toFixed(2)}`;
  context.font = `600 ${TEXT * unit}px system-ui, sans-serif`;
  const wide = context.measureText(text).width + 2 * PAD * unit, tall = (TEXT + 2 * PAD) * unit;
  const x = Math.max(0, Math.min(left - (LINE / 2) * unit, context.canvas.width - wide));
  const y = top >= tall ? top - tall : Math.min(top, context.canvas.height - tall);
  context.fillStyle = colour;
  context.fillRect(x, y, wide, tall);
  context.fillStyle = ink;
  context.textBaseline = "middle";
  context.fillText(text, x + PAD * unit, y + tall / 2);
}

// The middle is what is left out, as the ends tell classes apart.
function shortened(name) {
  const letters = [...name], half = Math.floor((LETTERS - 1) / 2);
  return letters.length <= LETTERS ? name : [...letters.slice(0, half), "…", ...letters.slice(-half)].join("");
}
