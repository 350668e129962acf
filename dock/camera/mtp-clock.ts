import { DockError } from '../../protocol/errors.ts';
import { ByteReader } from '../../protocol/ptp/byte-reader.ts';
import { ptpDeviceProperty, ptpOperation, ptpResponse } from '../../protocol/ptp/codes.ts';
import { decodeDevicePropDesc, encodePtpString } from '../../protocol/ptp/datasets.ts';
import { formatPtpDate, instantOf, parsePtpDate } from '../../protocol/ptp/datetime.ts';
import type { CameraClock } from './camera.ts';
import type { MtpDevice } from './mtp-device.ts';

const property = ptpDeviceProperty.dateTime;
const resolutionMs = 1000;

/**
 * The clock of a camera with property DateTime (0x5011); undefined unless it says that the property can be set: umtprd
 * names the operation and refuses it, with a stray response behind. `zoneMinutes` is what a time without a zone means.
 */
export async function findClock(
  device: MtpDevice,
  { zoneMinutes, signal }: { zoneMinutes: number; signal: AbortSignal },
): Promise<CameraClock | undefined> {
  const canSet = device.supports(ptpOperation.setDevicePropValue);
  if (!device.info.deviceProperties.has(property) || !canSet) return undefined;
  const description = await device.request(ptpOperation.getDevicePropDesc, [property], { signal });
  if (description.code !== ptpResponse.ok) return undefined;
  const desc = describe(description.data);
  if (!desc?.isWritable) return undefined;
  /** How the camera writes a time; a value that is set has the same shape. */
  let shape = String(desc.current);
  return {
    resolutionMs,
    read: async (stop) => {
      const { data } = await device.expectOk('DateTime', ptpOperation.getDevicePropValue, [property], {
        signal: stop,
      });
      const text = new ByteReader(data).string('DateTime');
      const date = parsePtpDate(text);
      if (!date) throw new DockError('camera.clock-unset');
      shape = text;
      return Math.floor(instantOf(date, zoneMinutes) / resolutionMs) * resolutionMs;
    },
    set: async (at, stop) => {
      const send = encodePtpString(formatPtpDate(at, shape, zoneMinutes));
      await device.expectOk('set DateTime', ptpOperation.setDevicePropValue, [property], {
        send,
        signal: stop,
      });
    },
  };
}

function describe(data: Uint8Array): ReturnType<typeof decodeDevicePropDesc> | undefined {
  try {
    return decodeDevicePropDesc(data);
  } catch {
    return undefined;
  }
}
