/** Codes of PTP (ISO 15740) and MTP 1.1 that an initiator which pulls recordings needs. Unknown ones stay numbers. */

export const ptpOperation = {
  getDeviceInfo: 0x1001,
  openSession: 0x1002,
  closeSession: 0x1003,
  getStorageIds: 0x1004,
  getStorageInfo: 0x1005,
  getObjectHandles: 0x1007,
  getObjectInfo: 0x1008,
  getObject: 0x1009,
  deleteObject: 0x100b,
  setObjectProtection: 0x1012,
  getDevicePropDesc: 0x1014,
  getDevicePropValue: 0x1015,
  setDevicePropValue: 0x1016,
  getPartialObject: 0x101b,
  getObjectPropsSupported: 0x9801,
  getObjectPropValue: 0x9803,
  /** Android's extension: a 64-bit offset. */
  getPartialObject64: 0x95c1,
} as const;

export const ptpResponse = {
  ok: 0x2001,
  generalError: 0x2002,
  sessionNotOpen: 0x2003,
  invalidTransactionId: 0x2004,
  operationNotSupported: 0x2005,
  parameterNotSupported: 0x2006,
  incompleteTransfer: 0x2007,
  invalidStorageId: 0x2008,
  invalidObjectHandle: 0x2009,
  devicePropNotSupported: 0x200a,
  storeFull: 0x200c,
  objectWriteProtected: 0x200d,
  storeReadOnly: 0x200e,
  accessDenied: 0x200f,
  partialDeletion: 0x2012,
  storeNotAvailable: 0x2013,
  invalidParameter: 0x201d,
  deviceBusy: 0x2019,
  sessionAlreadyOpen: 0x201e,
  transactionCancelled: 0x201f,
} as const;

export const ptpEvent = {
  cancelTransaction: 0x4001,
  objectAdded: 0x4002,
  objectRemoved: 0x4003,
  storeAdded: 0x4004,
  storeRemoved: 0x4005,
  objectInfoChanged: 0x4007,
  deviceInfoChanged: 0x4008,
  storeFull: 0x400a,
  unreportedStatus: 0x400e,
} as const;

export const ptpDeviceProperty = { batteryLevel: 0x5001, dateTime: 0x5011 } as const;

/** Object property with the true size, 64 bits: the only one that is right above 4 GiB everywhere. */
export const ptpObjectProperty = { objectSize: 0xdc04 } as const;

export const ptpFormat = { association: 0x3001 } as const;

/** Parent in GetObjectHandles: only what is at the root. 0 means different things to different responders. */
export const rootParent = 0xffff_ffff;

/** Sizes and container lengths that do not fit 32 bits. */
export const unknownLength = 0xffff_ffff;
