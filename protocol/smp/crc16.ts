/**
 * CRC-16/XMODEM: polynomial 0x1021, initial value 0, not reflected; check("123456789") = 0x31C3.
 * Over a message followed by its CRC the result is 0. Source: SMP over console, Zephyr `crc16_itu_t`.
 */
export function crc16(bytes: Uint8Array, initial = 0): number {
  let crc = initial;
  for (const byte of bytes) {
    crc = ((crc << 8) & 0xff00) ^ (table[(crc >>> 8) ^ byte] ?? 0);
  }
  return crc;
}

const table = Uint16Array.from({ length: 256 }, (_, index) => {
  let crc = index << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc & 0xffff;
});
