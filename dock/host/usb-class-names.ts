/** What interfaces are called, by the beginning of their class triple; the longest that fits is taken. */
const names: Readonly<Record<string, string>> = {
  '01': 'audio',
  '02': 'communication',
  '02/02': 'serial port (CDC-ACM)',
  '02/02/ff': 'network (RNDIS)',
  '02/06': 'network (CDC-ECM)',
  '02/0d': 'network (CDC-NCM)',
  '02/0e': 'network (MBIM)',
  '03': 'HID',
  '03/01/01': 'keyboard',
  '03/01/02': 'mouse',
  '05': 'physical',
  '06': 'still image',
  '06/01/01': 'still image (PTP, MTP)',
  '07': 'printer',
  '08': 'mass storage',
  '08/06/50': 'mass storage (bulk-only)',
  '08/06/62': 'mass storage (UAS)',
  '09': 'hub',
  '0a': 'data of a communication interface',
  '0b': 'smart card',
  '0d': 'content security',
  '0e': 'video',
  '0f': 'personal healthcare',
  '10': 'audio and video',
  '11': 'billboard',
  '12': 'USB-C bridge',
  dc: 'diagnostic',
  e0: 'wireless',
  'e0/01/01': 'Bluetooth',
  'e0/01/03': 'network (RNDIS)',
  ef: 'miscellaneous',
  fe: 'application specific',
  'fe/01': 'firmware update (DFU)',
  ff: 'vendor specific',
  'ff/42/01': 'Android debugging (adb)',
};

/**
 * For people: `06/01/01` is `still image (PTP, MTP)`; `unknown class` for what the list lacks. Source: usb.org, Defined
 * Class Codes; `ff/42/01` from Android.
 */
export function usbClassName(classTriple: string): string {
  const [cls = '', subclass = '', protocol = ''] = classTriple.split('/');
  const fitting = [`${cls}/${subclass}/${protocol}`, `${cls}/${subclass}`, cls].find((key) =>
    Object.hasOwn(names, key),
  );
  return (fitting !== undefined && names[fitting]) || 'unknown class';
}
