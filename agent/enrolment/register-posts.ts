import type { ClientBase } from 'pg';
import { DockError } from '../../protocol/errors.ts';
import { quotaFor, editionAt } from '../../protocol/norm/quota.ts';

// What the department does in a shared register, as the role that owns it.

/** The role that every station of the register is a member of. */
export const stationGroup = 'dock_station';

export interface StatedPost {
  readonly department: string;
  readonly name: string;
  readonly headcount: number | undefined;
  /** Of the signed assignment that states the headcount. */
  readonly assignmentNumber?: number;
}

/** The department enters a post, or states its headcount anew. Errors: `assignment.not-newer`. */
export async function statePost(client: ClientBase, post: StatedPost): Promise<void> {
  const { rowCount } = await client.query(
    `INSERT INTO dock.post AS post (department, name, headcount, assignment_number) VALUES ($1, $2, $3, $4)
     ON CONFLICT (department, name) DO UPDATE SET headcount = excluded.headcount,
       assignment_number = coalesce(excluded.assignment_number, post.assignment_number)
     WHERE excluded.assignment_number IS NULL OR post.assignment_number IS NULL
       OR excluded.assignment_number > post.assignment_number`,
    [post.department, post.name, post.headcount ?? null, post.assignmentNumber ?? null],
  );
  if (rowCount === 0) throw new DockError('assignment.not-newer', `no. ${post.assignmentNumber}`);
}

/**
 * Lets the role `role`, a member of dock_station, act as a station of the post. Errors: `enrolment.unknown-post`,
 * `register.role-taken` where the role is another station.
 */
export async function stateStation(
  client: ClientBase,
  station: { role: string; name: string; department: string; post: string },
): Promise<void> {
  const { role, name, department, post } = station;
  const { rows } = await client.query<{ is_same: boolean | null }>(
    `WITH post AS (SELECT id FROM dock.post WHERE department = $3 AND name = $4),
       entered AS (INSERT INTO dock.station (role, post_id, name) SELECT $1, id, $2 FROM post
         ON CONFLICT DO NOTHING RETURNING role)
     SELECT EXISTS (SELECT FROM entered) OR EXISTS (SELECT FROM dock.station s
       WHERE s.role = $1 AND s.post_id = post.id AND s.name = $2) AS is_same FROM post`,
    [role, name, department, post],
  );
  const [row] = rows;
  if (!row) throw new DockError('enrolment.unknown-post', `${department}/${post}`);
  if (row.is_same !== true)
    throw new DockError('register.role-taken', `${role}, ${department}/${post}/${name}`);
}

export interface RegisterPost {
  readonly department: string;
  readonly post: string;
  readonly headcount: number | null;
  readonly assignmentNumber: number | null;
  readonly enrolled: number;
  readonly quota: number;
  /** By name, with the role each logs in with. */
  readonly stations: readonly { readonly name: string; readonly role: string }[];
}

/** Every post of the register, in order. */
export async function registerPosts(client: ClientBase, at: number): Promise<RegisterPost[]> {
  const { rows } = await client.query<Omit<RegisterPost, 'quota'>>(
    `SELECT department, name AS post, headcount, assignment_number AS "assignmentNumber",
       (SELECT count(*)::integer FROM dock.enrolment e WHERE e.post_id = p.id AND e.place IS NOT NULL) AS enrolled,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('name', s.name, 'role', s.role) ORDER BY s.name), '[]')
        FROM dock.station s WHERE s.post_id = p.id) AS stations
     FROM dock.post p WHERE item = 'camera' ORDER BY department, name`,
  );
  return rows.map((row) => ({ ...row, quota: quotaFor(row.headcount ?? 0, editionAt(at)).quota }));
}
