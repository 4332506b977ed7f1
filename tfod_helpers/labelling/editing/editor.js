// The editor on the page. It shows one photo, lets a person draw, and tells Python of each deed; Python answers with
// the state to show, which is the truth. What boxes.js defines stands above this in one module.

const CLICK = 4; // CSS pixels that a hand may tremble in a click
const LEAST = 3; // true pixels of a box's shorter side
const PATIENCE = 6000; // milliseconds until it is said that Python does not answer
const SILENT = "Python does not answer: it is busy with another cell, or not running any more. If so, run this cell "
  + "again; what you drew before that is there.";
const KEYS = [
  ["Drag", "new box"], ["Click", "select: then drag it, or its edges"], ["1–9", "class"], ["Del", "delete"],
  ["Ctrl Z", "undo"], ["→", "save, next"], ["←", "back"], ["N", "nothing here"], ["S", "skip"], ["+ −", "zoom"],
  ["Shift ←→↑↓", "by 1 pixel"], ["Shift drag", "always a new box"], ["Esc", "leave"],
];

class Editor {
  view = Math.random().toString(36).slice(2); // of several tabs, the answer comes back to the one that asked
  sent = 0;
  state = null;
  have = -1; // the photo whose pixels are here
  boxes = [];
  selected = -1;
  label = 1; // of the next box
  zoom = 1;
  drag = null;

  constructor(model, root) {
    this.model = model;
    this.lay(root);
    this.onAnswer = (state, buffers) => this.answered(state, buffers);
    model.on("msg:custom", this.onAnswer);
    this.watch = new ResizeObserver(() => this.fit());
    this.watch.observe(this.stage);
    this.tell("show");
  }

  lay(root) {
    this.undoButton = this.button("↶", () => this.tell("undo"), "Undo (Ctrl Z)");
    this.redoButton = this.button("↷", () => this.tell("redo"), "Redo (Ctrl Y)");
    const next = this.button("Save, next →", () => this.tell("next"), "What is drawn is right (→)");
    next.classList.add("tfod-main");
    const bar = make("div", { class: "tfod-bar" },
      this.button("← Back", () => this.tell("back"), "The photo before (←)"), next,
      this.button("Nothing here", () => this.tell("none"), "No object of these classes is on this photo (N)"),
      this.button("Skip", () => this.tell("skip"), "On to the next; this one stays to do (S)"),
      make("span", { class: "tfod-gap" }), this.undoButton, this.redoButton,
      this.button("−", () => this.scale(1 / 1.5), "Smaller (−)"),
      this.button("+", () => this.scale(1.5), "Larger (+)"));
    for (const name of ["where", "name", "mark"]) this[name] = make("span", { class: `tfod-${name}` });
    this.done = make("div");
    this.progress = make("div", { class: "tfod-progress" }, this.done);
    const facts = make("div", { class: "tfod-bar" }, this.where, this.progress, this.name, this.mark);
    this.chips = make("div", { class: "tfod-chips" });
    this.note = make("div", { class: "tfod-note", role: "status" });
    this.image = make("img", { alt: "", draggable: "false" });
    this.svg = make("svg", { class: "tfod-boxes" });
    this.photo = make("div", { class: "tfod-photo" }, this.image, this.svg);
    this.stage = make("div", { class: "tfod-stage" }, this.photo);
    // The keys go to a text field: notebooks leave alone what is typed in one, whatever their own shortcuts are.
    this.keys = make("textarea", { class: "tfod-keys", "aria-label": "Box editor", inputmode: "none", rows: 1,
      onkeydown: (event) => this.pressed(event), oninput: () => { this.keys.value = ""; } });
    const help = make("div", { class: "tfod-help" }, make("span", { class: "tfod-hint" }, "Click the photo first:"),
      ...KEYS.map(([key, what]) => make("span", {}, make("kbd", {}, key), ` ${what}`)));
    const hands = { pointerdown: "down", pointermove: "move", pointerup: "up", pointercancel: "leave" };
    for (const [kind, deed] of Object.entries(hands)) this.svg.addEventListener(kind, (event) => this[deed](event));
    this.stage.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return; // the notebook scrolls
      event.preventDefault();
      this.scale(event.deltaY < 0 ? 1.25 : 0.8, event);
    }, { passive: false });
    root.append(make("div", { class: "tfod-editor" }, facts, bar, this.chips, this.note, this.stage, this.keys, help));
  }

  button(text, deed, title = "") {
    return make("button", { type: "button", title, onclick: () => { deed(); this.focus(); } }, text);
  }

  focus() { this.keys.focus({ preventScroll: true }); }

  // --- to Python and back -----------------------------------------------------------------------

  tell(what, more = {}) {
    const at = this.state ? { at: this.state.at } : {};
    this.sent += 1;
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.say(SILENT), PATIENCE);
    try {
      this.model.send({ do: what, view: this.view, n: this.sent, have: this.have, ...at, ...more });
    } catch { // there is nobody to send it to
      this.say(SILENT);
    }
  }

  answered(state, buffers) {
    const mine = state.view === this.view;
    if (buffers.length) this.see(state.at, buffers[0]);
    if (mine && state.n < this.sent) return; // the answer to a later deed is on its way, and shows all
    if (mine) clearTimeout(this.waiting);
    if (!this.state || state.at !== this.state.at) [this.selected, this.zoom, this.drag] = [-1, 1, null];
    this.state = state;
    if (!this.drag) this.boxes = state.boxes.map((box) => [...box]); // else the hand goes on with what it holds
    if (this.selected >= this.boxes.length) this.selected = -1;
    if (this.label > state.classes.length) this.label = 1;
    if (state.broken) this.have = state.at;
    if (state.broken || this.have !== state.at) this.image.removeAttribute("src");
    if (!mine && this.have !== state.at) this.tell("show");
    this.showFacts();
    this.fit();
  }

  see(at, buffer) {
    URL.revokeObjectURL(this.image.src);
    this.image.src = URL.createObjectURL(new Blob([buffer], { type: "image/jpeg" }));
    this.have = at;
  }

  commit() { // what is on the screen now
    this.draw();
    this.tell("boxes", { boxes: this.boxes });
  }

  // --- what is shown ----------------------------------------------------------------------------

  showFacts() {
    const { at, count, done, name, size, labelled, changed, broken } = this.state;
    this.where.textContent = `Photo ${at + 1} of ${count}`;
    this.done.style.width = `${(100 * done) / count}%`;
    this.name.textContent = `${done} labelled · ${name} · ${size[0]} × ${size[1]}`;
    const suggested = this.boxes.some((box) => box[5] !== null);
    this.mark.textContent = broken ? "cannot be shown" : changed ? "not saved yet: →" : labelled ? "labelled ✓"
      : suggested ? "suggested: correct it, then →" : "to do";
    this.mark.classList.toggle("tfod-saved", labelled && !changed);
    this.undoButton.disabled = !this.state.undo;
    this.redoButton.disabled = !this.state.redo;
    this.say(broken || this.state.message);
    if (this.state.conflict) {
      this.note.append(" ", this.button("Take the file", () => this.tell("theirs")),
        " ", this.button("Replace it by mine", () => this.tell("mine")));
    }
    this.showChips();
  }

  say(text) {
    this.note.textContent = text;
    this.note.hidden = !text;
  }

  showChips() {
    const chips = this.state.classes.map(([name, colour, ink], index) => {
      const chip = this.button(name, () => this.choose(index + 1));
      chip.style.cssText = `background: ${colour}; color: ${ink}`;
      chip.classList.toggle("tfod-on", this.label === index + 1);
      if (index < 9) chip.prepend(make("kbd", {}, `${index + 1}`));
      return chip;
    });
    const field = make("input", { type: "text", placeholder: "+ class", size: 8, "aria-label": "Add a class" });
    field.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter" && field.value.trim()) this.tell("class", { name: field.value });
      if (["Enter", "Escape"].includes(event.key)) this.focus();
    });
    this.chips.replaceChildren(...chips, field);
  }

  fit() {
    if (!this.state) return;
    const [width, height] = this.state.size;
    const high = within(0.6 * screen.availHeight, 320, 900); // not the window's: an output may be a frame that grows
    this.s = Math.min(this.stage.clientWidth / width, high / height, 4) * this.zoom; // CSS pixels a true pixel
    this.stage.style.maxHeight = `${high + 18}px`;
    this.photo.style.cssText = `width: ${width * this.s}px; height: ${height * this.s}px`;
    this.draw();
  }

  scale(factor, point = null) {
    const frame = this.stage.getBoundingClientRect();
    const x = point ? point.clientX - frame.left : frame.width / 2;
    const y = point ? point.clientY - frame.top : frame.height / 2;
    const [before, left, top] = [this.s, this.stage.scrollLeft + x, this.stage.scrollTop + y];
    this.zoom = within(this.zoom * factor, 1, 16);
    this.fit();
    this.stage.scrollTo((left * this.s) / before - x, (top * this.s) / before - y); // what was there stays there
  }

  draw() {
    if (!this.state) return;
    const order = bySize(this.boxes).reverse();
    if (this.selected >= 0) order.push(...order.splice(order.indexOf(this.selected), 1)); // above the others
    const { classes, labelled } = this.state;
    this.svg.replaceChildren(...order.map((index) => {
      const box = this.boxes[index];
      return drawn(box, classes[box[4] - 1], this.s, { on: index === this.selected, open: !labelled });
    }));
  }

  // --- the pointer ------------------------------------------------------------------------------

  point(event) { // in true pixels; the frame is as the browser has drawn it, at whatever zoom
    const frame = this.photo.getBoundingClientRect();
    const [width, height] = this.state.size;
    return [within((event.clientX - frame.left) / frame.width, 0, 1) * width,
      within((event.clientY - frame.top) / frame.height, 0, 1) * height];
  }

  taken(event) {
    const point = this.point(event);
    const order = event.shiftKey ? [] : bySize(this.boxes).sort((a, b) => (b === this.selected) - (a === this.selected));
    for (const index of order) {
      const edges = gripped(point, this.boxes[index], this.s);
      if (edges.length) return { kind: "resize", index, edges, point };
    }
    const moves = order.length && this.selected >= 0 && inside(point, this.boxes[this.selected]);
    return { kind: moves ? "move" : "new", index: moves ? this.selected : this.boxes.length, edges: [], point };
  }

  down(event) {
    if (event.button !== 0 || !this.state || this.state.broken || this.have !== this.state.at) return;
    event.preventDefault();
    this.focus();
    this.svg.setPointerCapture(event.pointerId);
    const { clientX, clientY } = event;
    this.drag = { ...this.taken(event), clientX, clientY, before: this.boxes, selected: this.selected, moved: false };
  }

  move(event) {
    const drag = this.drag;
    if (!drag) {
      if (this.state && !this.state.broken) this.svg.style.cursor = cursorOf(this.taken(event));
      return;
    }
    if (!drag.moved && Math.hypot(event.clientX - drag.clientX, event.clientY - drag.clientY) < CLICK) return;
    drag.moved = true;
    const [point, size] = [this.point(event), this.state.size];
    const by = [point[0] - drag.point[0], point[1] - drag.point[1]];
    this.boxes = drag.before.map((box) => [...box]);
    this.boxes[drag.index] = drag.kind === "new" ? spanned(drag.point, point, this.label)
      : drag.kind === "move" ? shifted(drag.before[drag.index], by, size)
        : pulled(drag.before[drag.index], drag.edges, by, size);
    this.selected = drag.index;
    this.draw();
  }

  up() {
    const drag = this.drag;
    this.drag = null;
    if (!drag) return;
    if (!drag.moved) this.pick(drag.point);
    else {
      const [xmin, ymin, xmax, ymax] = this.boxes[drag.index];
      if (Math.min(xmax - xmin, ymax - ymin) >= LEAST) return this.commit();
      [this.boxes, this.selected] = [drag.before, drag.selected];
    }
    this.draw();
  }

  pick(point) { // of boxes over each other, each click takes the next larger
    const under = bySize(this.boxes).filter((index) => inside(point, this.boxes[index], NEAR / this.s));
    this.selected = under[(under.indexOf(this.selected) + 1) % under.length] ?? -1;
    if (this.selected >= 0) this.label = this.boxes[this.selected][4];
    this.showChips();
  }

  // --- the keys ---------------------------------------------------------------------------------

  choose(label) {
    if (label > this.state.classes.length) return;
    this.label = label;
    this.showChips();
    const box = this.boxes[this.selected];
    if (!box || box[4] === label) return;
    [box[4], box[5]] = [label, null];
    this.commit();
  }

  remove() {
    if (this.selected < 0) return;
    this.boxes = this.boxes.filter((_, index) => index !== this.selected);
    this.selected = -1;
    this.commit();
  }

  nudge(by) {
    if (this.selected < 0) return;
    this.boxes[this.selected] = shifted(this.boxes[this.selected], by, this.state.size);
    this.commit();
  }

  leave() { // what is under way; then the box; then the editor
    if (this.drag) [this.boxes, this.selected, this.drag] = [this.drag.before, this.drag.selected, null];
    else if (this.selected >= 0) this.selected = -1;
    else this.keys.blur();
    this.draw();
  }

  pressed(event) {
    const control = event.ctrlKey || event.metaKey;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const again = { z: () => this.tell(event.shiftKey ? "redo" : "undo"), y: () => this.tell("redo") };
    const deed = control ? again[key] : this.deed(key, event.shiftKey);
    if (deed && this.state) deed();
    if (!deed && (control || key.length > 1)) return; // the notebook's: Tab, Ctrl S, Shift Enter
    event.preventDefault();
    event.stopPropagation();
  }

  deed(key, shift) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
    if (way && shift) return () => this.nudge(way);
    if (/^[1-9]$/.test(key)) return () => this.choose(Number(key));
    const told = { ArrowRight: "next", ArrowLeft: "back", n: "none", s: "skip" }[key];
    const scaled = { "+": 1.5, "=": 1.5, "-": 1 / 1.5, 0: 1 / 16 }[key];
    if (told) return () => this.tell(told);
    if (scaled) return () => this.scale(scaled);
    return { Delete: () => this.remove(), Backspace: () => this.remove(), Escape: () => this.leave() }[key];
  }

  close() {
    clearTimeout(this.waiting);
    this.watch.disconnect();
    this.model.off("msg:custom", this.onAnswer);
    URL.revokeObjectURL(this.image.src);
  }
}

export default {
  render({ model, el }) {
    const editor = new Editor(model, el);
    return () => editor.close();
  },
};
