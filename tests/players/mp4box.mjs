// The structure of a clip as MP4Box, GPAC's tool in JavaScript, reads it, and what the standard wants of it.

import { Log, createFile } from "mp4box";

export async function inMp4box({ bytes, width, height, seconds, sound }) {
  const problems = [];
  const complain = (module, message) => problems.push(`${module}: ${message}`);
  [Log.error, Log.warn] = [complain, complain];

  const file = createFile();
  file.onError = complain;
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  buffer.fileStart = 0;
  file.appendBuffer(buffer);
  file.flush();

  const boxes = file.boxes.map((box) => box.type);
  const end = file.boxes.reduce((at, box) => {
    if (box.start !== at) problems.push(`${box.type} begins at ${box.start}, expected ${at}`);
    return box.start + box.size;
  }, 0);
  if (end !== bytes.length) problems.push(`the boxes end at ${end}, the file at ${bytes.length}`);
  if (boxes[0] !== "ftyp") problems.push(`the first box is ${boxes[0]}, expected ftyp`);
  if (boxes.indexOf("moov") > boxes.indexOf("mdat")) problems.push("moov comes after mdat: it cannot be played while it comes");

  const info = file.getInfo();
  if (info.tracks.length !== (sound ? 2 : 1)) problems.push(`${info.tracks.length} tracks`);
  const mdat = file.boxes.find((box) => box.type === "mdat");
  for (const track of info.tracks) {
    const samples = file.getTrackSamplesInfo(track.id);
    let decoded = 0;
    for (const sample of samples) {
      const inside = sample.offset >= mdat.start + mdat.hdr_size && sample.offset + sample.size <= mdat.start + mdat.size;
      if (!inside || sample.size === 0) problems.push(`sample ${sample.number} of track ${track.id} is outside of mdat`);
      if (sample.dts !== decoded) problems.push(`sample ${sample.number} of track ${track.id} is due at ${sample.dts}`);
      decoded += sample.duration;
    }
    if (Math.abs(decoded / track.timescale - seconds) > 0.1) problems.push(`the samples of track ${track.id} last ${decoded}`);
    if (samples.length !== track.nb_samples || !samples[0]?.is_sync) problems.push(`track ${track.id} cannot be begun`);
    if (track.video) {
      if (track.video.width !== width || track.video.height !== height) problems.push(`size ${JSON.stringify(track.video)}`);
      if (!track.codec.startsWith("avc1.")) problems.push(`codec ${track.codec}`);
    } else if (!track.codec.startsWith("mp4a.40.2")) problems.push(`codec ${track.codec}`);
  }
  return problems;
}
