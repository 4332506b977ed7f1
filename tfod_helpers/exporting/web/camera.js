"use strict";
// The camera: started, stopped, chosen among several, and what to tell where there is none.

const REASONS = {
  NotAllowedError: "the camera was refused. Allow it in the browser's settings for this page, then start it again.",
  NotFoundError: "this device has no camera. Choose photos instead.",
  NotReadableError: "another program uses the camera. Close that, then start it again.",
  OverconstrainedError: "that camera is no longer there. Start it again.",
};

class Camera {
  constructor(video) {
    this.video = video;
    this.stream = null;
  }

  // Resolves with what cameras there are, once frames come.
  async start(deviceId) {
    this.stop();
    if (!navigator.mediaDevices) {
      throw new Error("Camera: this browser gives one only to pages that are opened from a file or over https.");
    }
    const video = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: "environment" };
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
      this.video.srcObject = this.stream;
      await this.video.play();
    } catch (error) {
      this.stop();
      throw new Error(`Camera: ${REASONS[error.name] ?? error.message}`);
    }
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter(({ kind }) => kind === "videoinput");
  }

  get on() {
    return this.stream !== null;
  }

  // Which of the cameras is in use.
  get deviceId() {
    return this.stream?.getVideoTracks()[0]?.getSettings().deviceId ?? "";
  }

  stop() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.video.srcObject = null;
    this.stream = null;
  }
}
