// Which files a model can be shown, by their content as src/media/content.cc knows it: what the server would refuse is refused before it is sent.
export const accepted = "image/jpeg,image/png,image/webp,image/gif,video/mp4,video/quicktime,video/webm,video/x-matroska,.mkv";
export const kindsRead = "pictures as JPEG, PNG, WebP or GIF, clips as MP4, MOV, WebM or Matroska";

/** The MIME type of a file's content; "" where it is none that is read. */
export async function kindOf(file) {
  const start = String.fromCharCode(...new Uint8Array(await file.slice(0, 12).arrayBuffer()));
  const clip = (type) => (file.type.startsWith("video/") ? file.type : type);
  if (start.startsWith("\x89PNG\r\n\x1a\n")) return "image/png";
  if (start.startsWith("\xFF\xD8\xFF")) return "image/jpeg";
  if (start.startsWith("RIFF") && start.endsWith("WEBP")) return "image/webp";
  if (/^GIF8[79]a/.test(start)) return "image/gif";
  if (start.startsWith("\x1A\x45\xDF\xA3")) return clip("video/webm");
  if (/^[^]{4}ftyp(avi|hei|hev|mif1)/.test(start)) return "";
  return /^[^]{4}(ftyp|moov|mdat|wide|free|skip)/.test(start) ? clip("video/mp4") : "";
}
