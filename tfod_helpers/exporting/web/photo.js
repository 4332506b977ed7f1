"use strict";
// An image file or a frame of the camera -> upright pixels, some rows at a time.

// Decodes an image file, turned as its EXIF data says. Colours stay as the file has them, since that is what the model
// was trained on.
async function openPhoto(blob, name) {
  try {
    return await createImageBitmap(blob, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  } catch (error) {
    if (error instanceof TypeError) return createImageBitmap(blob); // an older browser, which knows no such options
    throw new Error(`${name}: no photo that this browser can read. If it is one, save it as JPEG or PNG.`);
  }
}

// What reads RGBA pixels of an image or video, from row `top` on; transparency is laid over white.
function rowReader(source, width) {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { willReadFrequently: true });
  return (top, count) => {
    if (canvas.width !== width || canvas.height !== count) Object.assign(canvas, { width, height: count });
    context.fillStyle = "white";
    context.fillRect(0, 0, width, count);
    context.drawImage(source, 0, -top);
    return context.getImageData(0, 0, width, count);
  };
}
