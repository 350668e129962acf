import { z } from 'zod';

/**
 * What the station knows about a camera model: data, so that a new model of a known family needs a file and no code.
 * Files of the configured folder come before those that are built in.
 */
const hexId = z.string().regex(/^[0-9a-f]{4}$/, 'four hex digits in lower case, such as 1d6b');
const classTriple = z
  .string()
  .regex(/^[0-9a-f]{2}\/[0-9a-f]{2}\/[0-9a-f]{2}$/, 'class/subclass/protocol in hex, such as 06/01/01');
const text = z.string().min(1).max(128);

/** How a USB device is recognised; whatever is given must hold. */
const match = z
  .strictObject({
    vendor_id: hexId.optional().describe('USB vendor id.'),
    product_id: hexId.optional().describe('USB product id.'),
    manufacturer: text.optional().describe('Text that the manufacturer string contains.'),
    product: text.optional().describe('Text that the product string contains.'),
    interfaces: z
      .array(classTriple)
      .min(1)
      .max(16)
      .optional()
      .describe('Interfaces that must be there, as class/subclass/protocol; others may be too.'),
  })
  .refine((rule) => Object.keys(rule).length > 0, 'a rule that matches everything recognises nothing');

/** A camera may show itself in several ways, one after the other on the same port: locked, then as a disk. */
const mode = z
  .strictObject({
    match: match.describe('How the camera is recognised in this mode.'),
    control: z
      .enum(['smp-serial', 'smp-hid'])
      .optional()
      .describe('Channel for identity, clock, health; speaks SMP with the camera group.'),
    recordings: z
      .enum(['mtp', 'mass-storage', 'control'])
      .optional()
      .describe('Where recordings are read; control means over the control channel itself.'),
    unlock: z
      .enum(['mtp', 'mass-storage'])
      .optional()
      .describe(
        'The camera is asked to switch to this storage; it comes back in another mode of this profile.',
      ),
  })
  .refine(({ recordings, unlock }) => recordings === undefined || unlock === undefined, {
    message: 'a mode either gives recordings or is unlocked first',
    path: ['unlock'],
  })
  .refine(({ control, unlock }) => unlock === undefined || control !== undefined, {
    message: 'unlock needs a control channel',
    path: ['unlock'],
  })
  .refine(({ control, recordings }) => recordings !== 'control' || control !== undefined, {
    message: 'recordings over the control channel need one',
    path: ['recordings'],
  });

export const cameraProfileSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,47}$/, 'lower-case letters, digits, dash; at most 48')
    .describe('Unique name of the profile.'),
  description: z.string().max(500).default('').describe('For people: which cameras these are.'),
  modes: z
    .array(mode)
    .min(1)
    .max(8)
    .describe('Ways in which the camera shows itself; charging alone is one.'),
  serial_numbers: z
    .array(
      z
        .string()
        .regex(
          /^(?!.*\*.*\*)[A-Z0-9._#@*-]{1,48}$/,
          'capital letters, digits, . _ - and # @, and one * at most',
        ),
    )
    .min(1)
    .max(16)
    .optional()
    .describe(
      'Forms a serial number may have: # is a digit, @ a letter, * anything, the rest itself, as in BC-####. Without them any.',
    ),
  recordings: z
    .array(z.string().min(1).max(200))
    .min(1)
    .max(32)
    .default(['**/*.{mp4,mov,avi,mkv,ts,3gp,m4v,wav,mp3,aac,m4a,amr,jpg,jpeg,png}'])
    .describe(
      'Which files are recordings, as glob patterns below the root of a storage; case does not matter.',
    ),
  clock_zone_minutes: z
    .int()
    .min(-14 * 60)
    .max(14 * 60)
    .default(300)
    .meta({ unit: 'minutes' })
    .describe('What a camera time without a zone means, minutes east of UTC. Kazakhstan: 300.'),
  removal: z
    .enum(['allowed', 'never'])
    .default('allowed')
    .describe('never: recordings of this model are left on the camera whatever the station removes.'),
  serial_baud_rate: z
    .int()
    .min(1200)
    .max(12_000_000)
    .default(115_200)
    .meta({ unit: 'bit/s' })
    .describe('Line rate of a serial control channel.'),
});

export type CameraProfile = z.output<typeof cameraProfileSchema>;
export type CameraMode = CameraProfile['modes'][number];
