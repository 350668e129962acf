import type { Row } from '../state/database.ts';
import type { NormItem } from '../../protocol/norm/editions.ts';
import type { ServiceReport } from '../../protocol/norm/service-life.ts';
import type { Enrolment, EnrolmentState } from './register.ts';

/** A row of the table enrolment in the station's database. */
export function enrolmentOf(row: Row): Enrolment {
  const key = row['public_key'];
  return {
    item: String(row['item']) as NormItem,
    serialNumber: String(row['serial_number']),
    state: String(row['state']) as EnrolmentState,
    changedAt: Number(row['changed_at']),
    changedBy: String(row['changed_by']),
    reason: String(row['reason']),
    ...(key instanceof Uint8Array && { publicKey: key }),
    ...(row['commissioned_on'] !== null && { commissionedOn: String(row['commissioned_on']) }),
    ...(row['service_reported'] !== null && {
      serviceReported: Number(row['service_reported']) as ServiceReport,
    }),
  };
}
