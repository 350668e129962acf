// What the kernel tells, in the texts it was seen to write: each source on a recorded tree, then on this machine.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { ownDisks, readDiskErrors } from '../../agent/health/disk-errors.ts';
import { readLoad } from '../../agent/health/load.ts';
import { readMemory } from '../../agent/health/memory.ts';
import { askSmartctl, readSmart } from '../../agent/health/smart.ts';
import { systemFiles, type SystemFiles } from '../../agent/health/system-files.ts';
import { readTemperature } from '../../agent/health/temperature.ts';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** A tree of files; a text that starts with `->` is a link. */
function recorded(tree: Readonly<Record<string, string>>): SystemFiles {
  const root = mkdtempSync(join(tmpdir(), 'dock-sysfs-'));
  folders.push(root);
  for (const [path, text] of Object.entries(tree)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    if (text.startsWith('->')) symlinkSync(text.slice(2), join(root, path));
    else writeFileSync(join(root, path), `${text}\n`);
  }
  return systemFiles(root);
}

const nothing = recorded({});

describe('memory', () => {
  test('is what the machine has and may still give, and what the agent takes', async () => {
    const files = recorded({
      '/proc/meminfo':
        'MemTotal:        4038076 kB\nMemFree:          251496 kB\nMemAvailable:    2873088 kB\n',
      '/proc/self/status': 'Name:\tnode\nVmPeak:\t 1200000 kB\nVmRSS:\t   88104 kB\nThreads:\t11\n',
    });
    expect(await readMemory(files)).toEqual({
      memoryTotalBytes: 4_134_989_824,
      memoryAvailableBytes: 2_942_042_112,
      agentResidentBytes: 90_218_496,
    });
  });

  test('of this machine is plausible', async () => {
    const reading = await readMemory(systemFiles());
    expect(reading.agentResidentBytes).toBeGreaterThan(10 * 2 ** 20);
    expect(reading.memoryAvailableBytes).toBeLessThanOrEqual(reading.memoryTotalBytes ?? 0);
  });
});

describe('load', () => {
  test.each([
    ['0-3', 4],
    ['0', 1],
    ['0-1,4-7', 6],
  ])('is that of five minutes beside processors %s', async (online, processors) => {
    const files = recorded({
      '/proc/loadavg': '0.52 1.25 0.59 1/389 12345',
      '/sys/devices/system/cpu/online': online,
    });
    expect(await readLoad(files)).toEqual({ load5: 1.25, processors });
  });
});

describe('temperature', () => {
  test('is that of the hottest sensor, of zones and monitors, without impossible ones', async () => {
    const files = recorded({
      '/sys/class/thermal/thermal_zone0/type': 'x86_pkg_temp',
      '/sys/class/thermal/thermal_zone0/temp': '61000',
      '/sys/class/thermal/thermal_zone1/type': 'acpitz',
      '/sys/class/thermal/thermal_zone1/temp': '-274000',
      '/sys/class/thermal/cooling_device0/type': 'Fan',
      '/sys/class/hwmon/hwmon2/name': 'nvme',
      '/sys/class/hwmon/hwmon2/temp1_input': '64850',
      '/sys/class/hwmon/hwmon2/temp1_label': 'Composite',
      '/sys/class/hwmon/hwmon2/temp2_input': '255000',
    });
    expect(await readTemperature(files)).toEqual({
      temperatureCelsius: 64.85,
      temperatureSensor: 'nvme Composite',
    });
  });
});

describe('disk errors', () => {
  const tree = {
    '/sys/fs/ext4/features/metadata_csum_seed': 'supported',
    '/sys/fs/ext4/nvme0n1p2/errors_count': '0',
    '/sys/fs/ext4/sdb1/errors_count': '3',
    '/sys/fs/ext4/sdc1/errors_count': '99',
    '/sys/class/block/sdb1': '->../../devices/pci0000:00/0000:00:17.0/ata2/host1/target1:0:0/block/sdb/sdb1',
    '/sys/class/block/sdc1': '->../../devices/pci0000:00/0000:00:14.0/usb1/1-2/host6/block/sdc/sdc1',
    '/sys/block/nvme0n1': '->../devices/pci0000:00/nvme/nvme0/nvme0n1',
    '/sys/block/loop0/size': '0',
    '/sys/block/sda/device/ioerr_cnt': '0x1f',
    '/sys/block/sdc': '->../devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/host6/block/sdc',
  };

  test('are those of file systems and drivers, not those of a camera on USB', async () => {
    expect(await readDiskErrors(recorded(tree))).toEqual({
      diskErrors: 34,
      diskErrorPlaces: ['sdb1 (ext4) 3', 'sda 31'],
    });
  });

  test('are asked of the disks of the station alone', async () => {
    expect(await ownDisks(recorded(tree))).toEqual(['nvme0n1', 'sda']);
  });
});

describe('SMART', () => {
  // As smartctl 7.3 prints it, cut to a few attributes.
  const ata = JSON.stringify({
    json_format_version: [1, 0],
    smartctl: { version: [7, 3], exit_status: 0 },
    smart_status: { passed: true },
    ata_smart_attributes: {
      table: [
        { id: 5, name: 'Reallocated_Sector_Ct', raw: { value: 2, string: '2' } },
        { id: 9, name: 'Power_On_Hours', raw: { value: 10_000, string: '10000' } },
        { id: 197, name: 'Current_Pending_Sector', raw: { value: 1, string: '1' } },
      ],
    },
  });
  const nvme = JSON.stringify({
    smart_status: { passed: false, nvme: { value: 4 } },
    nvme_smart_health_information_log: { critical_warning: 4, percentage_used: 103, media_errors: 7 },
  });
  const denied = JSON.stringify({
    smartctl: {
      exit_status: 2,
      messages: [{ string: 'Smartctl open device: /dev/sda failed: Permission denied' }],
    },
  });

  test('counts disks that are failing, bad sectors and wear over all that answer', async () => {
    const answers: Record<string, string> = { sda: ata, nvme0n1: nvme, sdb: denied };
    expect(await readSmart(Object.keys(answers), async (device) => answers[device])).toEqual({
      smartFailingDisks: 1,
      smartBadSectors: 10,
      smartWearPercent: 103,
    });
  });

  test.each([undefined, '', 'not json', denied, '[]'])('is left out for the answer %j', async (answer) => {
    expect(await readSmart(['sda'], async () => answer)).toEqual({});
  });

  test('asks a program that need not be there', async () => {
    const reading = await readSmart(['null'], askSmartctl);
    expect(reading).toEqual({});
  });
});

test('a machine that tells nothing leaves every field out', async () => {
  for (const read of [readMemory, readLoad, readTemperature, readDiskErrors])
    expect(await read(nothing)).toEqual({});
});

test('texts that are none of theirs leave the field out', async () => {
  const files = recorded({
    '/proc/meminfo': 'MemTotal: lots\n',
    '/proc/loadavg': '',
    '/sys/devices/system/cpu/online': 'all',
    '/sys/class/thermal/thermal_zone0/temp': 'N/A',
    '/sys/fs/ext4/sda1/errors_count': '-1',
  });
  for (const read of [readMemory, readLoad, readTemperature, readDiskErrors])
    expect(await read(files)).toEqual({});
});
