import type { Camera } from '../camera/camera.ts';

/** What a look into a bay finds. What is there and cannot be used is thrown as an error. */
export type BayContent =
  | { readonly kind: 'empty'; readonly detail?: string }
  /** A camera that charges and does nothing else: a normal state. */
  | { readonly kind: 'charging'; readonly detail: string }
  | { readonly kind: 'camera'; readonly camera: Camera };

/**
 * Looks into a bay and opens what is there; the caller disposes of the camera. Rejects with a DockError for what is
 * there and cannot be used, and with the signal's reason.
 */
export type LookIntoBay = (signal: AbortSignal) => Promise<BayContent>;
