"use strict";
// The page: photos and camera in, pictures with boxes, a table and words out.

const SAID = 1500; // ms between two statements about the camera's picture, which a screen reader reads out
const BACKENDS = { webgpu: "graphics card (WebGPU)", wasm: "processor (WebAssembly)", cpu: "processor (JavaScript)" };

const facts = JSON.parse(document.getElementById("facts").textContent);
const at = (id) => document.getElementById(id);
const camera = new Camera(at("video"));
const photos = []; // {name, blob, found, width, height, ms, button}
const state = { detector: null, threshold: facts.threshold, chosen: null, bitmap: null, shown: null, said: 0, working: Promise.resolve() };

// --- what was found, shown ---------------------------------------------------------------------

function element(tag, text = "", more = {}) {
  return Object.assign(document.createElement(tag), { textContent: text }, more);
}

function sure(found) {
  return found.filter(({ score }) => score >= state.threshold);
}

// "2 cats" needs grammar that class names do not have: "cat 0.91, cat 0.55, dog 0.42".
function words(found) {
  const some = found.slice(0, 8).map(({ classId, score }) => `${facts.classes[classId - 1].name} ${score.toFixed(2)}`);
  return some.join(", ") + (found.length > 8 ? ` and ${found.length - 8} more` : "");
}

// Shows a photo or a frame, {source, width, height, found, ms, name}, as far as the confidence allows.
function show(shown) {
  state.shown = shown;
  const found = sure(shown.found), canvas = at("picture");
  at("empty").hidden = true;
  at("place").className = "full";
  canvas.hidden = false;
  drawPhoto(canvas, shown, found, facts.classes);
  at("save").disabled = false;
  at("ms").textContent = `${shown.ms.toFixed(0)} ms`;
  tabulate(found);
  const hidden = shown.found.length - found.length;
  const below = shown.found.length && !found.length ? ` The surest guess below it: ${words(shown.found.slice(0, 1))}.` : "";
  const text = found.length
    ? `${shown.name}: ${words(found)}.`
    : `${shown.name}: nothing found with a confidence of ${state.threshold.toFixed(2)} or more.${below}`;
  canvas.setAttribute("aria-label", text);
  at("none").textContent = hidden ? `${hidden} below the least confidence.` : found.length ? "" : "Nothing found.";
  say(text, camera.on);
}

function say(text, often = false) {
  const now = performance.now();
  if (often && now - state.said < SAID) return;
  state.said = now;
  at("status").textContent = text;
}

function tabulate(found) {
  const rows = found.map((box) => {
    const { name, colour } = facts.classes[box.classId - 1];
    const row = element("tr"), first = element("td");
    const chip = element("i");
    chip.style.background = colour;
    first.append(chip, name);
    const place = `${box.xmin.toFixed(0)}, ${box.ymin.toFixed(0)} to ${box.xmax.toFixed(0)}, ${box.ymax.toFixed(0)}`;
    row.append(first, element("td", box.score.toFixed(2)), element("td", place));
    return row;
  });
  at("found").tBodies[0].replaceChildren(...rows);
  at("found").hidden = !found.length;
  at("count").textContent = found.length ? `(${found.length})` : "";
}

function complain(message) {
  at("errors").hidden = false;
  at("errors").querySelector("ul").append(element("li", message));
}

function dismiss() {
  at("errors").hidden = true;
  at("errors").querySelector("ul").replaceChildren();
}

// --- photos --------------------------------------------------------------------------------------

// Takes files in their order, one at a time; the first one that can be read is shown at once.
function addPhotos(files) {
  if (!files.length) return;
  stopCamera();
  dismiss();
  let first = true;
  for (const [number, file] of [...files].entries()) {
    state.working = state.working.then(async () => {
      const name = file.name || "pasted photo";
      say(files.length > 1 ? `Looking at ${name}, ${number + 1} of ${files.length} …` : `Looking at ${name} …`);
      try {
        await addPhoto(file, name, first);
        first = false;
      } catch (error) {
        complain(error.message);
        say(state.shown ? at("picture").getAttribute("aria-label") : "No photo could be read.");
      }
    });
  }
  state.working = state.working.then(() => state.shown && !camera.on && say(at("picture").getAttribute("aria-label")));
}

async function addPhoto(blob, name, chosen) {
  const bitmap = await openPhoto(blob, name);
  const { width, height } = bitmap;
  const { found, ms } = await state.detector.detect(bitmap, width, height);
  const photo = { name, blob, found, ms, width, height };
  photo.button = thumbnail(photo, bitmap);
  photos.push(photo);
  at("strip").hidden = photos.length < 2;
  if (chosen && !camera.on) showPhoto(photo, bitmap);
  else bitmap.close();
}

function showPhoto(photo, bitmap) {
  state.bitmap?.close();
  state.bitmap = bitmap;
  state.chosen = photo;
  for (const other of photos) other.button.setAttribute("aria-current", String(other === photo));
  at("strip").scrollLeft = photo.button.offsetLeft - at("strip").clientWidth / 2; // and the page stays where it is
  show({ ...photo, source: bitmap });
}

function thumbnail(photo, bitmap) {
  const button = element("button", "", { type: "button" }), canvas = element("canvas"), item = element("li");
  const scale = 144 / photo.height;
  Object.assign(canvas, { width: Math.max(1, Math.min(432, photo.width * scale)), height: 144 });
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  button.append(canvas, element("span"));
  button.onclick = async () => {
    stopCamera();
    try {
      showPhoto(photo, await openPhoto(photo.blob, photo.name));
    } catch (error) {
      complain(error.message); // the file is gone, or another one by now
    }
  };
  item.append(button);
  at("strip").append(item);
  label({ ...photo, button });
  return button;
}

function label({ name, found, button }) {
  const count = sure(found).length;
  button.querySelector("span").textContent = count;
  button.setAttribute("aria-label", `${name}, ${count} ${count === 1 ? "detection" : "detections"}`);
}

// Left and right move between the small photos.
function moveInStrip(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const place = photos.findIndex(({ button }) => button === document.activeElement);
  if (!step || place < 0) return;
  event.preventDefault();
  photos[(place + step + photos.length) % photos.length].button.focus();
}

// --- camera --------------------------------------------------------------------------------------

async function startCamera(deviceId) {
  dismiss();
  say("Starting the camera …");
  at("camera").disabled = true; // until it is clear what came of it
  try {
    const cameras = await camera.start(deviceId);
    const options = cameras.map((one, number) => element("option", one.label || `Camera ${number + 1}`, { value: one.deviceId }));
    at("cameras").replaceChildren(...options);
    at("cameras").value = camera.deviceId;
    at("cameras").hidden = cameras.length < 2;
  } catch (error) {
    return loseCamera(error);
  } finally {
    at("camera").disabled = false;
  }
  camera.stream.getVideoTracks()[0].onended = () => loseCamera(new Error("Camera: it was unplugged or taken away."));
  at("camera").textContent = "Stop camera";
  at("camera").classList.add("on");
  for (const { button } of photos) button.removeAttribute("aria-current");
  watch(camera.stream).catch(loseCamera);
}

function loseCamera(error) {
  complain(error.message);
  stopCamera();
  say("The camera is off.");
}

// Looks at frame after frame, as many as there is time for, while this stream is the camera's.
async function watch(stream) {
  const video = at("video"), frame = document.createElement("canvas"), times = [];
  while (camera.stream === stream) {
    const { videoWidth: width, videoHeight: height } = video;
    if (width) {
      Object.assign(frame, { width, height });
      frame.getContext("2d", { willReadFrequently: true }).drawImage(video, 0, 0);
      const { found, ms } = await state.detector.detect(frame, width, height);
      if (camera.stream !== stream) return;
      show({ source: frame, width, height, found, ms, name: "Camera" });
      times.push(performance.now());
      if (times.length > 30) times.shift();
      const seconds = (times.at(-1) - times[0]) / 1000;
      if (seconds) at("fps").textContent = `${((times.length - 1) / seconds).toFixed(1)} frames a second`;
    }
    await new Promise(requestAnimationFrame);
  }
}

function stopCamera() {
  camera.stop();
  at("camera").textContent = "Start camera";
  at("camera").classList.remove("on");
  at("cameras").hidden = true;
  at("fps").textContent = "off";
}

// --- the rest --------------------------------------------------------------------------------------

function changeThreshold() {
  state.threshold = Number(at("threshold").value);
  at("shown").textContent = state.threshold.toFixed(2);
  photos.forEach(label);
  if (state.shown) show(state.shown);
}

function savePicture() {
  const name = `${state.shown.name.replace(/\.\w+$/, "")} detections.png`;
  at("picture").toBlob((blob) => {
    const link = element("a", "", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }, "image/png");
}

function describeModel() {
  at("threshold").value = facts.threshold;
  at("shown").textContent = facts.threshold.toFixed(2);
  at("advice").textContent = `${facts.threshold.toFixed(2)} gave the best balance of missed and false detections on the validation photos.`;
  const rows = {
    Classes: facts.classes.map(({ name }) => name).join(", "),
    "Validation AP, AP50": [facts.ap, facts.ap50].map((one) => one?.toFixed(3) ?? "unknown").join(", "),
    "Trained from": facts.preset,
    Steps: facts.step.toLocaleString("en"),
    Input: `${facts.side} × ${facts.side} pixels`,
    Weights: facts.precision,
    "Run by": `TensorFlow.js ${tf.version_core}`,
  };
  at("model").append(...Object.entries(rows).flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
}

function listen() {
  at("choose").onclick = () => at("files").click();
  at("files").onchange = () => {
    addPhotos([...at("files").files]);
    at("files").value = ""; // so that the same file can be chosen again
  };
  at("camera").onclick = () => (camera.on ? (stopCamera(), say("The camera is off.")) : startCamera());
  at("cameras").onchange = () => startCamera(at("cameras").value);
  at("save").onclick = savePicture;
  at("threshold").oninput = changeThreshold;
  at("strip").onkeydown = moveInStrip;
  at("errors").querySelector("button").onclick = dismiss;
  document.addEventListener("paste", (event) => addPhotos([...event.clipboardData.files]));
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dropping");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    addPhotos([...event.dataTransfer.files]);
  });
  new ResizeObserver(() => state.shown && !camera.on && drawPhoto(at("picture"), state.shown, sure(state.shown.found), facts.classes)).observe(at("place"));
}

// Resolves with the detector once photos can be looked at; photos that are given before wait for it.
async function start() {
  const buttons = ["choose", "camera"].map(at);
  try {
    state.detector = await Detector.load(facts);
  } catch (error) {
    buttons.forEach((button) => (button.disabled = true));
    complain(`This page cannot start here: ${error.message}. Open it in a current Chrome, Edge, Firefox or Safari.`);
    say("Not started.");
    throw error;
  }
  const { model } = state.detector;
  const tell = () => {
    at("backend").textContent = BACKENDS[model.backend];
    at("slow").hidden = model.backend !== "cpu";
  };
  tell();
  model.settled.then(tell);
  say("Ready.");
  return state.detector;
}

describeModel();
listen();
window.detector = state.working = start();
