import type { UsbHandle } from '../../dock/host/usb-backend.ts';
import type { PtpEndpoints } from '../../dock/host/usb-endpoints.ts';
import { ptpOperation, ptpResponse } from '../../protocol/ptp/codes.ts';
import { containerHeaderBytes, containerType, encodeCommand } from '../../protocol/ptp/container.ts';

const timeoutMs = 60_000;
/** Far from those of the session that found the object; umtprd takes any (reference/mtp.md A.2). */
const firstTransactionId = 0x0100_0000;

/** The bare calls of npm `usb`, with nothing of ours between: what is left of a transaction without its program. */
export class RawReader {
  readonly #device: UsbHandle;
  readonly #endpoints: PtpEndpoints;
  readonly #longestReadBytes: number;
  #transactionId = firstTransactionId;

  constructor(device: UsbHandle, endpoints: PtpEndpoints, longestReadBytes: number) {
    this.#device = device;
    this.#endpoints = endpoints;
    this.#longestReadBytes = longestReadBytes;
  }

  /** One window with GetPartialObject64, thrown away. */
  async window(handle: number, offset: number, bytes: number): Promise<void> {
    const parameters = [handle, offset % 2 ** 32, Math.floor(offset / 2 ** 32), bytes];
    await this.#command(ptpOperation.getPartialObject64, parameters);
    await this.#discard(bytes);
  }

  /** The whole object with GetObject, thrown away. */
  async object(handle: number, bytes: number): Promise<void> {
    await this.#command(ptpOperation.getObject, [handle]);
    await this.#discard(bytes);
  }

  async #command(operation: number, parameters: readonly number[]): Promise<void> {
    const command = encodeCommand(operation, ++this.#transactionId, parameters);
    await this.#device.nativeTransferOut(this.#endpoints.bulkOut, timeoutMs, command);
  }

  /** Reads like the real reader: one packet more than is due, so that an empty packet comes with the data. */
  async #discard(payloadBytes: number): Promise<void> {
    const { bulkIn, bulkInPacketBytes } = this.#endpoints;
    const totalBytes = payloadBytes + containerHeaderBytes;
    for (let received = 0; ;) {
      const due = Math.max(totalBytes - received, 0) + 1;
      const wanted = Math.ceil(due / bulkInPacketBytes) * bulkInPacketBytes;
      const length = Math.min(wanted, this.#longestReadBytes);
      const chunk = await this.#device.nativeTransferIn(bulkIn, timeoutMs, length);
      if (!chunk) throw new Error('no data');
      const responseAt = totalBytes - received;
      received += chunk.length;
      if (received < totalBytes + containerHeaderBytes) continue;
      expectOk(chunk.subarray(responseAt));
      return;
    }
  }
}

function expectOk(response: Uint8Array): void {
  const view = new DataView(response.buffer, response.byteOffset, response.length);
  const [type, code] = [view.getUint16(4, true), view.getUint16(6, true)];
  if (type === containerType.response && code === ptpResponse.ok) return;
  throw new Error(`container of type ${type}, code 0x${code.toString(16)} instead of OK`);
}
