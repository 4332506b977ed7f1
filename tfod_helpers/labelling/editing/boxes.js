// Boxes on the page: [xmin, ymin, xmax, ymax, label, score, difficult] in true pixels of the photo. A box that a person
// has touched has no score any more.

const NEAR = 6; // CSS pixels from an edge within which it is taken hold of
const SVG = "http://www.w3.org/2000/svg"; // the name of what is drawn; nothing is fetched

function make(tag, attributes = {}, ...children) {
  const isDrawn = ["svg", "g", "rect", "text"].includes(tag);
  const made = isDrawn ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

const within = (value, least, most) => Math.min(Math.max(value, least), most);
const area = ([xmin, ymin, xmax, ymax]) => (xmax - xmin) * (ymax - ymin);
const ordered = ([a, b, c, d, ...rest]) => [Math.min(a, c), Math.min(b, d), Math.max(a, c), Math.max(b, d), ...rest];

function bySize(boxes) { // the indices, the smallest box first
  return boxes.map((_, index) => index).sort((a, b) => area(boxes[a]) - area(boxes[b]));
}

function inside([x, y], [xmin, ymin, xmax, ymax], slack = 0) {
  return x >= xmin - slack && x <= xmax + slack && y >= ymin - slack && y <= ymax + slack;
}

// The edges of a box that a point takes hold of: 0 left, 1 top, 2 right, 3 bottom. Scale: CSS pixels a true pixel.
function gripped(point, box, scale) {
  if (!inside(point, box, NEAR / scale)) return [];
  const slack = [0, 1].map((axis) => Math.min(NEAR, ((box[axis + 2] - box[axis]) * scale) / 3 + 1) / scale);
  return [0, 1, 2, 3].filter((side) => Math.abs(point[side % 2] - box[side]) <= slack[side % 2]);
}

function spanned(one, other, label) {
  return ordered([...one.map(Math.round), ...other.map(Math.round), label, null, false]);
}

function shifted(box, by, size) {
  const steps = by.map((way, axis) => within(Math.round(way), -box[axis], size[axis] - box[axis + 2]));
  return [...box.slice(0, 4).map((edge, side) => edge + steps[side % 2]), box[4], null, box[6]];
}

function pulled(box, edges, by, size) {
  const made = [...box];
  for (const side of edges) made[side] = Math.round(within(box[side] + by[side % 2], 0, size[side % 2]));
  made[5] = null;
  return ordered(made);
}

function cursorOf({ kind, edges }) {
  if (kind !== "resize") return kind === "move" ? "move" : "crosshair";
  if (edges.length === 1) return edges[0] % 2 ? "ns-resize" : "ew-resize";
  return ["0,1", "2,3"].includes(edges.join()) ? "nwse-resize" : "nesw-resize";
}

// One box as it is drawn: on is whether it is selected, open whether nobody has confirmed its photo yet.
function drawn(box, [name, colour, ink], scale, { on, open }) {
  const score = box[5];
  const [x, y, width, height] = [box[0], box[1], box[2] - box[0], box[3] - box[1]].map((value) => value * scale);
  const edge = { x, y, width, height, fill: "none" };
  const dashes = open && score !== null ? "7 5" : "none";
  const halo = ink === "white" ? "#fff" : "#000"; // so that it is seen on what has its own colour
  const text = score === null ? name : `${name} ${score.toFixed(2)}${open ? " ?" : ""}`;
  const up = y < 18 ? 18 : 0; // no room above it
  const group = make("g", {},
    make("rect", { ...edge, stroke: halo, "stroke-opacity": 0.6, "stroke-width": on ? 5 : 4 }),
    make("rect", { ...edge, stroke: colour, "stroke-width": on ? 3 : 2.5, "stroke-dasharray": dashes }),
    make("rect", { x: x - 1, y: y - 18 + up, width: 7.4 * text.length + 10, height: 17, fill: colour }),
    make("text", { x: x + 4, y: y - 5 + up, fill: ink }, text));
  if (!on) return group;
  group.prepend(make("rect", { ...edge, fill: colour, "fill-opacity": 0.15 }));
  for (const left of [0, 0.5, 1]) for (const top of [0, 0.5, 1]) {
    const at = { x: x + left * width - 4, y: y + top * height - 4, width: 8, height: 8 };
    if (left !== 0.5 || top !== 0.5) group.append(make("rect", { ...at, fill: "#fff", stroke: "#000" }));
  }
  return group;
}
