import { cameraProfileSchema, type CameraProfile } from './profile.ts';

/** Cameras of the camera group prove what they are by speaking it, whatever their USB ids. */
const smpProfiles = [
  {
    name: 'smp-serial',
    description: 'Any camera of the camera group on a USB serial port (CDC-ACM).',
    modes: [
      { match: { interfaces: ['02/02/01', '0a/00/00'] }, control: 'smp-serial', recordings: 'control' },
      { match: { interfaces: ['02/02/00', '0a/00/00'] }, control: 'smp-serial', recordings: 'control' },
    ],
  },
  {
    name: 'smp-hid',
    description: 'Any camera of the camera group that carries everything in HID reports.',
    modes: [{ match: { interfaces: ['03/00/00'] }, control: 'smp-hid', recordings: 'control' }],
  },
];

/** Phones and memory sticks match these too: they are used only where the station is configured so. */
const genericProfiles = [
  {
    name: 'generic-mtp',
    description: 'Anything that speaks MTP or PTP.',
    modes: [{ match: { interfaces: ['06/01/01'] }, recordings: 'mtp' }],
  },
  {
    name: 'generic-mass-storage',
    description: 'Anything that shows itself as a disk.',
    modes: [
      { match: { interfaces: ['08/06/50'] }, recordings: 'mass-storage' },
      { match: { interfaces: ['08/06/62'] }, recordings: 'mass-storage' },
    ],
  },
];

export function builtInProfiles({ generic }: { generic: boolean }): CameraProfile[] {
  return [...smpProfiles, ...(generic ? genericProfiles : [])].map((profile) =>
    cameraProfileSchema.parse(profile),
  );
}
