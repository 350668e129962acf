import { hasCode } from '../../protocol/errors.ts';
import { ptpDeviceProperty, ptpOperation, ptpResponse } from '../../protocol/ptp/codes.ts';
import { decodeDevicePropDesc, decodeStorageInfo } from '../../protocol/ptp/datasets.ts';
import type { CameraHealth, CameraHealthReader } from './camera.ts';
import type { MtpDevice } from './mtp-device.ts';
import { readStorageIds } from './mtp-objects.ts';

/** Undefined for a camera that tells neither its storages nor its battery. */
export function findHealth(device: MtpDevice): CameraHealthReader | undefined {
  const hasStorage = device.supports(ptpOperation.getStorageInfo);
  const hasBattery =
    device.info.deviceProperties.has(ptpDeviceProperty.batteryLevel) &&
    device.supports(ptpOperation.getDevicePropDesc) &&
    !device.quirks.noBattery;
  if (!hasStorage && !hasBattery) return undefined;
  return async (signal): Promise<CameraHealth> => {
    const storage = hasStorage ? await readStorages(device, signal) : {};
    const batteryPercent = hasBattery ? await readBattery(device, signal) : undefined;
    return { errorCounters: {}, ...storage, ...(batteryPercent !== undefined && { batteryPercent }) };
  };
}

/** Of all storages together; those that cannot be told are left out. */
async function readStorages(
  device: MtpDevice,
  signal: AbortSignal,
): Promise<Pick<CameraHealth, 'storageTotalBytes' | 'storageFreeBytes'>> {
  let storageTotalBytes = 0;
  let storageFreeBytes = 0;
  for (const storageId of await readStorageIds(device, signal)) {
    const answer = await device.request(ptpOperation.getStorageInfo, [storageId], { signal });
    if (answer.code !== ptpResponse.ok) continue;
    const { capacityBytes, freeBytes } = decodeStorageInfo(answer.data);
    storageTotalBytes += Number(capacityBytes);
    storageFreeBytes += Number(freeBytes);
  }
  return { storageTotalBytes, storageFreeBytes };
}

/** Unknown outside the range that the property states itself, and without one: umtprd 1.3 states 0 and no range. */
async function readBattery(device: MtpDevice, signal: AbortSignal): Promise<number | undefined> {
  const property = ptpDeviceProperty.batteryLevel;
  const answer = await device.request(ptpOperation.getDevicePropDesc, [property], { signal });
  if (answer.code !== ptpResponse.ok) return undefined;
  try {
    const { current, range } = decodeDevicePropDesc(answer.data);
    if (!range) return undefined;
    const [value, min, max] = [Number(current), Number(range.min), Number(range.max)];
    if (!(value >= min && value <= max) || max <= min) return undefined;
    return Math.round(((value - min) / (max - min)) * 100);
  } catch (error) {
    if (hasCode(error, 'wire.malformed')) return undefined;
    throw error;
  }
}
