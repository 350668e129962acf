import type { ClientBase } from 'pg';

/** The department enters a post, or states its headcount anew. As the owner of the register. */
export async function statePost(
  client: ClientBase,
  post: { department: string; name: string; headcount: number | undefined },
): Promise<void> {
  await client.query(
    `INSERT INTO dock.post (department, name, headcount) VALUES ($1, $2, $3)
     ON CONFLICT (department, name) DO UPDATE SET headcount = excluded.headcount`,
    [post.department, post.name, post.headcount ?? null],
  );
}

/** Lets the role `role`, a member of dock_station, act as a station of the post. As the owner of the register. */
export async function stateStation(
  client: ClientBase,
  station: { role: string; name: string; department: string; post: string },
): Promise<void> {
  await client.query(
    `INSERT INTO dock.station (role, post_id, name)
     SELECT $1, id, $2 FROM dock.post WHERE department = $3 AND name = $4
     ON CONFLICT (role) DO NOTHING`,
    [station.role, station.name, station.department, station.post],
  );
}
