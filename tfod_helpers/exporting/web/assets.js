"use strict";
// The files that the page runs on: within the page, where it is one file, or beside it.

async function asset(name) {
  const inside = document.getElementById(`asset ${name}`);
  if (!inside) {
    const response = await fetch(name);
    if (!response.ok) throw new Error(`${name} is missing beside this page (${response.status})`);
    return response.arrayBuffer();
  }
  const letters = atob(inside.textContent);
  inside.remove();
  const packed = new Uint8Array(letters.length);
  for (let at = 0; at < letters.length; at++) packed[at] = letters.charCodeAt(at);
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

// The float32 numbers of an array file of NumPy's: a header, whose length two bytes tell, and then the numbers.
function readNpy(buffer) {
  return new Float32Array(buffer.slice(10 + new DataView(buffer).getUint16(8, true)));
}
