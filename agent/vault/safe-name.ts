/** Room for the id that makes a name unique, within the 255 bytes of a file system. */
const longestStem = 80;
const longestExtension = 8;

/**
 * A name on our file systems, and on a FAT stick, for a path read from a camera: the last component, in plain
 * letters, digits, dot, dash and underscore, then a unique id. Names differ even where the camera's differ only
 * in case, and the true name is in the catalogue as read.
 */
export function safeName(pathOnCamera: string, uniqueId: string): string {
  const last = pathOnCamera.slice(-1024).split(/[/\\]/).at(-1) ?? '';
  const plain = last.replace(/[^A-Za-z0-9._-]/g, '_').replace(/^[._-]+/, '');
  const dot = plain.lastIndexOf('.');
  const hasExtension = dot > 0 && plain.length - dot - 1 <= longestExtension && dot < plain.length - 1;
  const stem = (hasExtension ? plain.slice(0, dot) : plain).slice(0, longestStem) || 'recording';
  return `${stem}-${uniqueId}${hasExtension ? plain.slice(dot) : ''}`;
}
