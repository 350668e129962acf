/** Bytes from hex text in which blanks and line ends are free and `;` starts a comment. */
export function annotatedHex(text: string): Uint8Array {
  const digits = text.replace(/;.*$/gm, '').replace(/\s+/g, '');
  if (!/^(?:[0-9a-f]{2})*$/i.test(digits)) throw new Error(`not hex: ${digits.slice(0, 80)}`);
  return new Uint8Array(Buffer.from(digits, 'hex'));
}
