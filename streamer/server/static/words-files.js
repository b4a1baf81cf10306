// Sizes, formats and jobs in words.

import { dayTime, rate, seconds, whole } from "./words.js";

const UNITS = ["bytes", "KB", "MB", "GB", "TB"];

// "2.1 MB"
export function size(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit && value < 9.95 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

export const FORMAT_WORDS = {
  jsonl: "Journal (JSON lines)",
  mp4: "Video with boxes",
  srt: "Subtitles (SRT)",
  vtt: "Subtitles (WebVTT)",
  csv: "Tables (CSV)",
  parquet: "Tables (Parquet)",
  coco: "COCO",
  cvat: "CVAT",
  "label-studio": "Label Studio",
  yolo: "YOLO",
  voc: "Pascal VOC",
};

export const formatWords = (name) => FORMAT_WORDS[name] ?? name;

// How far a job is, in a sentence.
export function progressWords(job) {
  const frames = job.frames === 1 ? "1 frame" : `${whole(job.frames)} frames`;
  switch (job.state) {
    case "waiting":
      return job.before === 0 ? "Waits for its turn" : `Waits behind ${job.before === 1 ? "another file" : `${job.before} others`}`;
    case "running": {
      if (job.stage && job.stage !== "answers") return `${frames} answered · ${job.stage === "tracking" ? "boxes are followed from picture to picture" : `now written: ${formatWords(job.stage)}`}`;
      const parts = [job.expected && !(job.frames > job.expected) ? `${whole(job.frames)} of about ${whole(job.expected)} frames` : frames];
      if (job.frames_per_second) parts.push(`${rate(job.frames_per_second)} frames/s`);
      if (job.left_seconds !== null) parts.push(`${seconds(job.left_seconds)} left`);
      return job.frames ? parts.join(" · ") : "Begins…";
    }
    case "failed":
      return job.frames ? `It failed after ${frames}` : "It failed";
  }
  const lost = job.failed ? `, ${whole(job.failed)} without an answer` : "";
  return `${frames}${lost} · done ${dayTime(job.finished_at)}`;
}
