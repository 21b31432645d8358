/**
 * A place for one child, the hub's or a worker id's, that is kept filled: a child that dies is
 * followed by another, and a worker can be replaced while the old one still serves.
 */

import type { LogLines } from "../observe/log.ts";
import { messageOf } from "../protocol/message-of.ts";
import { BootError, type Child } from "./child.ts";
import { RestartPolicy } from "./restart-policy.ts";

export class Slot {
  readonly #spawn: () => Child;
  readonly #log: LogLines;
  readonly #policy = new RestartPolicy();
  #current: Child | null = null;
  /** The one that `replace` waits for. */
  #incoming: Child | null = null;
  #restartTimer: ReturnType<typeof setTimeout> | null = null;
  #retired = false;

  constructor(spawn: () => Child, log: LogLines) {
    this.#spawn = spawn;
    this.#log = log;
  }

  /** The child that is in service, or null between two of them. */
  get serving(): Child | null {
    return this.#current?.isReady() ? this.#current : null;
  }

  /**
   * Starts the first child; from its `ready` on, the slot is kept filled.
   *
   * @throws BootError It did not start, or the slot was retired meanwhile. Nothing is tried again.
   */
  async start(): Promise<void> {
    const child = this.#launch();
    this.#current = child;
    try {
      await this.#booted(child);
    } catch (error) {
      this.#current = null;
      throw error;
    }
    this.#watch(child);
  }

  /**
   * Starts another child beside the one in service and puts it in its place once it is ready.
   *
   * @returns The old child, for the caller to end; null if it has died by itself.
   * @throws BootError The new one did not start. The old one, if there is one, stays in service.
   */
  async replace(): Promise<Child | null> {
    this.#cancelRestart();
    let incoming: Child;
    try {
      incoming = this.#launch();
      this.#incoming = incoming;
      await this.#booted(incoming);
    } catch (error) {
      this.#incoming = null;
      // The old one may have died meanwhile, and nothing else would fill the slot.
      if (this.#current === null) this.#restartLater(messageOf(error), 0);
      throw error;
    }
    const old = this.#current;
    this.#incoming = null;
    this.#current = incoming;
    this.#watch(incoming);
    return old;
  }

  /** Fills the slot no more. @returns The children that are left, for the caller to end. */
  retire(): Child[] {
    this.#retired = true;
    this.#cancelRestart();
    const left = [this.#current, this.#incoming].filter((child) => child !== null);
    this.#current = null;
    return left;
  }

  /** @throws BootError The process can't be created. */
  #launch(): Child {
    const child = this.#spawn();
    void child.boot.then((boot) => {
      if (boot.ok) this.#log.info(`${child.label} ready`);
    });
    return child;
  }

  async #booted(child: Child): Promise<void> {
    const boot = await child.boot;
    if (!boot.ok) throw new BootError(child.name, "did not start", boot.reason);
    if (this.#retired) throw new BootError(child.name, "did not start", "it is not wanted any more");
  }

  #watch(child: Child): void {
    void child.ended.then((end) => {
      if (child !== this.#current) return; // replaced, or retired
      this.#current = null;
      if (this.#incoming === null) this.#restartLater(`${child.label} ${end.how}`, end.livedMs);
      else this.#log.warning(`${child.label} ${end.how}; its replacement is on its way`);
    });
  }

  #restartLater(what: string, livedMs: number): void {
    if (this.#retired) return;
    const { pauseMs, deaths, spanMs } = this.#policy.afterDeath({ nowMs: performance.now(), livedMs });
    const when =
      pauseMs === 0 ? "" : ` in ${seconds(pauseMs)} s (${deaths} deaths in ${Math.ceil(spanMs / 1_000)} s)`;
    this.#log.warning(`${what}; starting another${when}`);
    if (pauseMs === 0) this.#restart();
    else this.#restartTimer = setTimeout(() => this.#restart(), pauseMs);
  }

  #restart(): void {
    this.#restartTimer = null;
    try {
      this.#current = this.#launch();
    } catch (error) {
      if (!(error instanceof BootError)) throw error;
      this.#restartLater(error.message, 0);
      return;
    }
    this.#watch(this.#current);
  }

  #cancelRestart(): void {
    if (this.#restartTimer !== null) clearTimeout(this.#restartTimer);
    this.#restartTimer = null;
  }
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(ms < 1_000 ? 2 : 1);
}
