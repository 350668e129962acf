import { threadId } from 'node:worker_threads';
import { startAgent, type Agent } from '../../agent/agent.ts';
import type { AgentHost } from '../../agent/agent-host.ts';
import type { BayState } from '../../agent/session/bay-board.ts';
import { configSchema, type Config } from '../../agent/config/schema.ts';
import type { ControlHandlers, ControlReply } from '../../agent/control/server.ts';
import { Database } from '../../agent/state/database.ts';
import { asDockError, DockError } from '../../protocol/errors.ts';
import { CameraBody, type CameraModel } from './camera-body.ts';
import type { Draws } from './draws.ts';
import { Dead, Life } from './life.ts';
import { Oracles, vaultFolder } from './oracles.ts';
import { Scheduler } from './scheduler.ts';
import { SimulatedBroker } from './simulated-broker.ts';
import { SimulatedDatabase, type DatabaseFaults } from './simulated-database.ts';
import { SimulatedDisk } from './simulated-disk.ts';
import { Story } from './story.ts';

/** What may change from one run of the agent to the next. */
export interface Settings {
  removal: 'never' | 'when-verified';
  enrolment: 'automatic' | 'manual';
  headcount: number | undefined;
  bays: number;
}

/** Pace of the station: fixed for a simulation. */
export interface Pace {
  readonly presenceMs: number;
  readonly retryMs: number;
}

const startAt = Date.UTC(2026, 10, 22, 8);
const restartMs = 10_000;
/** An orderly stop that takes longer never ends. */
const stopMs = 600_000;

const noReply = { item: async () => undefined, progress: async () => undefined };

/** A database with all migrations done, to start from. */
const template = new Database(':memory:');
/**
 * Each world has a database of its own, in memory for as long as somebody has it open. The slash that lets connections
 * share it is escaped: the agent makes the folder of its database.
 */
let worlds = 0;

/** A station, its cameras and everything around it. */
export class World implements Disposable {
  readonly draws: Draws;
  readonly scheduler = new Scheduler(startAt);
  readonly story = new Story(() => this.scheduler.nowMs);
  readonly disk: SimulatedDisk;
  readonly broker: SimulatedBroker;
  readonly oracles: Oracles;
  readonly databaseFaults: DatabaseFaults = { failOneIn: 0 };
  readonly pace: Pace;
  readonly cameras: CameraBody[] = [];
  readonly bays = new Map<number, CameraBody>();
  settings: Settings;
  life: Life;
  isClockTrusted = true;
  upSinceMs = 0;
  /** Until when a bay may have been told to leave its camera alone. */
  pausedUntilMs = 0;
  readonly #databasePath = `file:%2Fsimulation-${threadId}-${++worlds}?vfs=memdb`;
  readonly #sabotage: (host: AgentHost) => AgentHost;
  #agent: Agent | undefined;
  #control:
    | { readonly handlers: ControlHandlers; readonly reply: ControlReply; readonly answers: Promise<void>[] }
    | undefined;
  #database: SimulatedDatabase | undefined;
  #runs = 0;
  #isStopOverdue = false;
  #isBuried = true;
  #wallShiftMs = 0;

  constructor(
    draws: Draws,
    {
      settings,
      pace,
      sabotage,
    }: { settings: Settings; pace: Pace; sabotage: (host: AgentHost) => AgentHost },
  ) {
    this.draws = draws;
    this.settings = settings;
    this.pace = pace;
    this.#sabotage = sabotage;
    this.disk = new SimulatedDisk(draws, this.story);
    this.broker = new SimulatedBroker(draws, this.scheduler, this.story);
    this.oracles = new Oracles({
      story: this.story,
      disk: this.disk,
      broker: this.broker,
      databasePath: this.#databasePath,
    });
    template.run('VACUUM INTO ?', this.#databasePath);
    this.life = new Life(this.scheduler, draws);
    this.life.isDead = true;
  }

  addCamera(model: CameraModel): CameraBody {
    const camera = new CameraBody(
      model,
      {
        onAdd: (recording, bytes) => this.oracles.appeared(model.serialNumber, recording, bytes),
        onRemove: (recording, bytes) => {
          this.story.tell(`camera ${model.name} removes ${recording.path}`);
          this.oracles.removed(model.serialNumber, recording, bytes);
        },
      },
      this,
    );
    this.cameras.push(camera);
    return camera;
  }

  get isAgentUp(): boolean {
    return this.#agent !== undefined && !this.life.isDead;
  }

  bayOf(camera: CameraBody): number | undefined {
    return [...this.bays].find(([, docked]) => docked === camera)?.[0];
  }

  /** Whether another camera states the same serial number. */
  hasTwin(model: CameraModel): boolean {
    return this.cameras.some(
      (other) => other.model !== model && other.model.serialNumber === model.serialNumber,
    );
  }

  dock(camera: CameraBody, bay: number): void {
    this.story.tell(`bay ${bay}: camera ${camera.model.name} (${camera.model.serialNumber}) is put in`);
    this.bays.set(bay, camera);
    camera.lastServedMs = this.scheduler.nowMs;
  }

  undock(bay: number): void {
    const camera = this.bays.get(bay);
    if (!camera) return;
    this.story.tell(`bay ${bay}: camera ${camera.model.name} is taken out`);
    this.bays.delete(bay);
    camera.unplug();
  }

  stepClock(ms: number): void {
    this.#wallShiftMs += ms;
    this.scheduler.step(ms);
  }

  correctClock(): void {
    this.stepClock(-this.#wallShiftMs);
  }

  /** Lets time pass; an agent that dies meanwhile is buried, and started again by its service manager. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.scheduler.nowMs + ms;
    while (!(await this.scheduler.runUntil(untilMs, () => this.life.isDead && !this.#isBuried))) this.#bury();
  }

  start(): void {
    if (!this.life.isDead) return;
    const run = ++this.#runs;
    const life = new Life(this.scheduler, this.draws.stream(`run ${run}`));
    this.life = life;
    this.upSinceMs = this.scheduler.nowMs;
    this.#isBuried = false;
    this.#isStopOverdue = false;
    this.#agent = undefined;
    this.#control = undefined;
    this.oracles.headcount = this.settings.headcount;
    const { removal, enrolment, headcount, bays } = this.settings;
    this.story.tell(
      `the agent starts (run ${run}): removal ${removal}, enrolment ${enrolment}, headcount ${headcount}, ${bays} bays`,
    );
    startAgent({ config: this.#config(), file: undefined }, this.#sabotage(this.#host(life))).then(
      (agent) => {
        if (!life.isDead) this.#agent = agent;
      },
      (error: unknown) => {
        if (life.isDead) return;
        const { code, message } = asDockError(error);
        this.story.count(`start failed: ${code}`);
        if (code === 'internal.bug') this.story.violate('agent', `cannot start: ${message}`);
        life.kill(`cannot start: ${code}`);
      },
    );
  }

  /** Stops the agent in order. False when it was killed meanwhile, or was not up. */
  async stop(): Promise<boolean> {
    const { life } = this;
    const agent = this.#agent;
    if (!agent || life.isDead) return false;
    this.story.tell('the agent is told to stop');
    let isStopped = false;
    agent.stop().then(
      () => (isStopped = true),
      (error: unknown) => {
        if (!life.isDead) life.kill(`fails to stop: ${asDockError(error).code}`);
      },
    );
    const untilMs = this.scheduler.nowMs + stopMs;
    const isLate = await this.scheduler.runUntil(untilMs, () => isStopped || life.isDead);
    if (life.isDead) {
      this.#bury();
      return false;
    }
    if (isLate) this.story.violate('agent', 'does not stop');
    if (this.#isStopOverdue) {
      // What the disk lets wait for longer than a stop takes ends with the process.
      this.story.count('stopped without waiting for everything');
      life.kill('stopped');
    } else {
      const { operations } = life;
      await this.scheduler.runUntil(this.scheduler.nowMs + 60_000);
      if (life.operations > operations) this.story.violate('agent', 'goes on after it was stopped');
      life.isDead = true;
    }
    this.#isBuried = true;
    this.#close();
    this.story.tell('the agent has stopped');
    this.story.count('stopped in order');
    return true;
  }

  /** What a technician sees. */
  async phases(): Promise<readonly BayState[]> {
    const answer = (await this.#control?.handlers.bays({}, this.#control.reply)) as
      { bays: readonly BayState[] } | undefined;
    return answer?.bays ?? [];
  }

  /** Asks the agent something as dockctl does; what comes of it shows in the facts. */
  ask(what: string, request: (handlers: ControlHandlers, reply: ControlReply) => Promise<unknown>): void {
    const control = this.#control;
    if (!control || !this.isAgentUp) return;
    this.story.tell(`dockctl ${what}`);
    const answered = request(control.handlers, control.reply).then(
      () => undefined,
      (error: unknown) => {
        if (error instanceof Dead) return;
        const { code, message } = asDockError(error);
        this.story.tell(`dockctl ${what}: ${code}`);
        if (code === 'internal.bug' && !control.reply.signal.aborted)
          this.story.violate('agent', `dockctl ${what}: ${message}`);
      },
    );
    control.answers.push(answered);
  }

  #bury(): void {
    const { life } = this;
    const draws = this.draws.stream(`grave ${this.#runs}`);
    const isPowerCut = draws.chance(0.5);
    this.story.tell(
      `the agent is dead (${life.lastWords}); ${isPowerCut ? 'power was cut' : 'it was killed'}`,
    );
    this.story.count(isPowerCut ? 'power cut' : 'killed');
    this.story.count(
      `died at ${/^\w+/.exec(life.lastWords)?.[0]}${life.lastWords.endsWith('done') ? ', done' : ''}`,
    );
    this.#isBuried = true;
    this.#close();
    for (const camera of this.cameras)
      if (isPowerCut) camera.unplug();
      else camera.disconnect();
    this.broker.hangUp();
    if (isPowerCut) this.disk.cutPower(draws);
    this.oracles.crashed();
    const pauseMs = restartMs + (isPowerCut ? draws.between(0, 600_000) : 0);
    this.scheduler.after(pauseMs, () => this.start());
  }

  #close(): void {
    this.#database?.[Symbol.dispose]();
    this.#database = undefined;
    this.#agent = undefined;
    this.#control = undefined;
  }

  #config(): Config {
    const { removal, enrolment, headcount, bays } = this.settings;
    return configSchema.parse({
      post: { enrolment, ...(headcount !== undefined && { headcount }) },
      state: { folder: '/state' },
      vault: { folder: vaultFolder, removal, reserve_bytes: 0 },
      clock: { station_clock: 'trusted', measure_for_ms: 2000 },
      broker: { url: 'mqtt://broker:1883' },
      session: { presence_ms: this.pace.presenceMs, retry_ms: this.pace.retryMs },
      bay: Array.from({ length: bays }, (_, index) => ({
        number: index + 1,
        serial: { path: `/bay${index + 1}` },
      })),
    });
  }

  #host(life: Life): AgentHost {
    const { clock, random } = life;
    return {
      clock,
      random,
      disk: this.disk.for(life),
      log: {
        info: () => undefined,
        warn: (event) => {
          this.#isStopOverdue ||= event === 'stop-overdue';
        },
        error: (event, facts) => {
          if (life.isDead) return;
          const { code, message } = asDockError(facts['error']);
          this.story.tell(`log: ${event} ${code}: ${message}`);
          this.story.count(`log ${event} ${code}`);
          if (code === 'internal.bug') this.story.violate('agent', `${event}: ${message}`);
        },
      },
      checkStationClock: async () => ({ isTrusted: this.isClockTrusted, evidence: 'simulated' }),
      lookIntoBay: async ({ number }, signal) => {
        await life.operate('look into a bay', 1, () => undefined);
        signal.throwIfAborted();
        return this.bays.get(number)?.open(life, signal) ?? { kind: 'empty' };
      },
      powerCycle: async ({ number }) => {
        const camera = this.bays.get(number);
        this.story.tell(`bay ${number}: power off and on`);
        if (camera) {
          delete camera.faults.silent;
          camera.reboot(3000);
        }
        return true;
      },
      lockState: () => ({ [Symbol.dispose]: () => undefined }),
      openDatabase: () => {
        life.expectAlive();
        this.#database = new SimulatedDatabase(this.#databasePath, {
          life,
          faults: this.databaseFaults,
          draws: this.draws.stream(`database ${this.#runs}`),
          onCommit: (changes) => this.oracles.committed(changes),
        });
        return this.#database;
      },
      openBroker: this.broker.for(life),
      startControlServer: async (_path, handlers) => {
        const stopping = new AbortController();
        const answers: Promise<void>[] = [];
        this.#control = { handlers, answers, reply: { ...noReply, signal: stopping.signal } };
        return {
          [Symbol.asyncDispose]: async () => {
            stopping.abort(new DockError('internal.stopping'));
            await Promise.all(answers);
          },
        };
      },
    };
  }

  [Symbol.dispose](): void {
    this.life.isDead = true;
    this.#close();
    this.oracles.close();
  }
}
