/**
 * A place for one child, the hub or a worker id, that stays filled. A dead child is replaced. A
 * worker can also be replaced while it still serves.
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
  /** The child that `replace` waits for. */
  #incoming: Child | null = null;
  #restartTimer: ReturnType<typeof setTimeout> | null = null;
  #retired = false;

  constructor(spawn: () => Child, log: LogLines) {
    this.#spawn = spawn;
    this.#log = log;
  }

  /** Null between two children. */
  get serving(): Child | null {
    return this.#current?.isReady() ? this.#current : null;
  }

  /**
   * Starts the first child. Once it is ready, the slot stays filled.
   * @throws BootError It did not start, or the slot was retired meanwhile. There is no second try.
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
   * Starts another child. Once it is ready, it takes the place of the one in service.
   * @returns the old child, for the caller to end; null if it has died.
   * @throws BootError The new child did not start. The old one, if any, stays in service.
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
      // The old child may have died meanwhile. Then only this fills the slot.
      if (this.#current === null) this.#restartLater(messageOf(error), 0);
      throw error;
    }
    const old = this.#current;
    this.#incoming = null;
    this.#current = incoming;
    this.#watch(incoming);
    return old;
  }

  /** Stops filling the slot. @returns the remaining children, for the caller to end. */
  retire(): Child[] {
    this.#retired = true;
    this.#cancelRestart();
    const left = [this.#current, this.#incoming].filter((child) => child !== null);
    this.#current = null;
    return left;
  }

  /** @throws BootError The system refuses to create the process. */
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
