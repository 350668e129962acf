import { z } from 'zod';

const bytes = z.coerce.number().int().min(1);

/**
 * What a simulated camera can be told to do wrong. All are off when absent; they may be changed while the
 * camera runs. `npm run simulate:camera -- --fault NAME[=VALUE]` sets them from the command line.
 */
export const cameraFaults = z.strictObject({
  silent: z.stringbool().or(z.boolean()).optional().describe('answers nothing'),
  corruptOneByteIn: bytes.optional().describe('flips one bit in about one of N bytes it sends'),
  loseOneIn: bytes.optional().describe('loses about one of N answers (serial) or reports (HID) it sends'),
  stallAfterBytes: bytes.optional().describe('stops answering downloads after N bytes of recordings'),
  unplugAfterBytes: bytes.optional().describe('pulls its own cable after N bytes on the wire'),
  wrongDigest: z
    .stringbool()
    .or(z.boolean())
    .optional()
    .describe('states digests that are not those of its recordings'),
  lyingSizeBytes: z.coerce.bigint().optional().describe('lists sizes that are N bytes too large'),
  storageFull: z.stringbool().or(z.boolean()).optional().describe('reports a full storage'),
  clockNeverSet: z.coerce
    .boolean()
    .optional()
    .describe('has a clock that was never set, and forgets it again'),
  refuseRemoval: z.stringbool().or(z.boolean()).optional().describe('refuses to remove recordings'),
  repeatAnswers: z.stringbool().or(z.boolean()).optional().describe('sends every answer twice'),
  delayOneIn: bytes.optional().describe('holds back about one of N answers until after the next one'),
  forgeAnswers: z
    .stringbool()
    .or(z.boolean())
    .optional()
    .describe('sends answers nobody asked for before the true one'),
  logText: z.stringbool().or(z.boolean()).optional().describe('writes log lines between its answers'),
  endlessList: z.stringbool().or(z.boolean()).optional().describe('lists recordings without end'),
  swapIdentityAfterBytes: bytes
    .optional()
    .describe('states another serial number after N bytes of recordings'),
  ignoreModeSwitch: z
    .stringbool()
    .or(z.boolean())
    .optional()
    .describe('agrees to another transfer mode and stays as it is'),
  impostorKey: z
    .stringbool()
    .or(z.boolean())
    .optional()
    .describe('signs challenges with a key that is not its own'),
});

export type CameraFaults = z.output<typeof cameraFaults>;
