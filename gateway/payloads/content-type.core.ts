/**
 * What a payload is, from its first bytes: for the object's media type and the ending of its name. Only what devices send
 * and what can be told for certain; everything else is bytes. Pure.
 */

export interface ContentType {
  readonly type: string;
  /** With its dot. */
  readonly extension: string;
}

const UNKNOWN: ContentType = { type: "application/octet-stream", extension: ".bin" };

interface Signature extends ContentType {
  /** Bytes at places, as text in Latin-1. */
  readonly at: readonly (readonly [place: number, text: string])[];
}

const SIGNATURES: readonly Signature[] = [
  { type: "image/jpeg", extension: ".jpg", at: [[0, "\xff\xd8\xff"]] },
  { type: "image/png", extension: ".png", at: [[0, "\x89PNG\r\n\x1a\n"]] },
  { type: "image/gif", extension: ".gif", at: [[0, "GIF8"]] },
  {
    type: "image/webp",
    extension: ".webp",
    at: [
      [0, "RIFF"],
      [8, "WEBP"],
    ],
  },
  { type: "image/tiff", extension: ".tif", at: [[0, "II*\0"]] },
  { type: "image/tiff", extension: ".tif", at: [[0, "MM\0*"]] },
  { type: "image/avif", extension: ".avif", at: [[4, "ftypavif"]] },
  { type: "image/heic", extension: ".heic", at: [[4, "ftypheic"]] },
  {
    type: "audio/wav",
    extension: ".wav",
    at: [
      [0, "RIFF"],
      [8, "WAVE"],
    ],
  },
  { type: "audio/flac", extension: ".flac", at: [[0, "fLaC"]] },
  { type: "audio/ogg", extension: ".ogg", at: [[0, "OggS"]] },
  { type: "video/mp4", extension: ".mp4", at: [[4, "ftyp"]] },
  { type: "application/pdf", extension: ".pdf", at: [[0, "%PDF-"]] },
  { type: "application/gzip", extension: ".gz", at: [[0, "\x1f\x8b\x08"]] },
  { type: "application/zstd", extension: ".zst", at: [[0, "\x28\xb5\x2f\xfd"]] },
  { type: "application/zip", extension: ".zip", at: [[0, "PK\x03\x04"]] },
  { type: "application/x-hdf5", extension: ".h5", at: [[0, "\x89HDF\r\n\x1a\n"]] },
];

export function contentTypeOf(payload: Uint8Array): ContentType {
  const head = Buffer.from(payload.buffer, payload.byteOffset, Math.min(payload.length, 16));
  const letters = head.toString("latin1");
  const fits = ({ at }: Signature) => at.every(([place, text]) => letters.startsWith(text, place));
  return SIGNATURES.find(fits) ?? UNKNOWN;
}

/** Media type of a name as we give them. */
export function contentTypeOfName(name: string): string {
  return SIGNATURES.find(({ extension }) => name.endsWith(extension))?.type ?? UNKNOWN.type;
}
