/** What `top` shows to people: a page that is refreshed, or a line. */
import { counted, number, size, table } from '../text.ts'
import type { ProcessFigures, TopFigures } from './figures.ts'

const UNKNOWN = '-'

export function pageOf(figures: TopFigures): string[] {
  const { processes, log } = figures
  const share = figures.pages === 0 ? 0 : (100 * figures.freePages) / figures.pages
  return [
    `${figures.file}  ${clockOf(figures.time)}`,
    '',
    `  commits     ${commitsOf(figures)}, ${perS(figures.groupsPerS, 'groups')}; the last is ${orUnknown(figures.lastSequence)}`,
    `  log         ${log === null ? 'none' : `${size(log.bytes)} in ${counted(log.segments, 'segment')}, ${bytesPerS(log.bytesPerS)}`}`,
    `  file        ${size(figures.fileBytes)}; at the checkpoint ${counted(figures.pages, 'page')}, ${number(share)} % free`,
    `  checkpoint  ${number(figures.checkpoint)}`,
    `  writer      ${writerOf(figures)}`,
    '',
    ...(processes.length === 0
      ? [
          figures.clean
            ? '  closed cleanly: nobody has it open'
            : '  no process is known to have it open',
        ]
      : processesOf(processes)),
  ]
}

export function lineOf(figures: TopFigures): string {
  const { log, processes } = figures
  const live = processes.filter(({ state }) => state !== 'dead')
  const dead = processes.length - live.length
  const lags = live.map(({ lagBytes }) => lagBytes ?? 0)
  return [
    clockOf(figures.time),
    commitsOf(figures),
    `last ${orUnknown(figures.lastSequence)}`,
    `log ${log === null ? 'none' : `${size(log.bytes)}, ${bytesPerS(log.bytesPerS)}`}`,
    `checkpoint ${number(figures.checkpoint)}`,
    `file ${size(figures.fileBytes)}`,
    `writer ${writerOf(figures)}`,
    `${counted(live.length, 'process', 'processes')}, lag ${size(Math.max(0, ...lags))}`,
    ...(dead === 0 ? [] : [`${number(dead)} died`]),
  ].join(' | ')
}

function processesOf(processes: readonly ProcessFigures[]): string[] {
  const rows = processes.map(({ pid, state, since, lagBytes, oldestBytes }) => [
    `  ${pid ?? UNKNOWN}`,
    state,
    since === null ? UNKNOWN : since.slice(0, -5),
    lagBytes === null ? UNKNOWN : size(lagBytes),
    oldestBytes === null ? UNKNOWN : size(oldestBytes),
  ])
  const head = ['  process', '', 'open since', 'lag', 'oldest state']
  return table(head, rows, new Set([3, 4])).split('\n')
}

function commitsOf({ commitsPerS }: TopFigures): string {
  return perS(commitsPerS, 'commits')
}

function writerOf({ writer, waiters }: TopFigures): string {
  const waiting = waiters === 0 ? '' : `, ${counted(waiters, 'waits', 'wait')} for it`
  if (writer === null) return `nobody${waiting}`
  if (writer.pid === null || writer.since === null) return `one that has not said who${waiting}`
  return `${writer.pid} since ${clockOf(writer.since)}${waiting}`
}

function perS(rate: number | null, what: string): string {
  return `${rate === null ? UNKNOWN : number(rate)} ${what}/s`
}

function bytesPerS(rate: number | null): string {
  return `${rate === null ? UNKNOWN : size(rate)}/s`
}

function orUnknown(value: number | null): string {
  return value === null ? UNKNOWN : number(value)
}

/** UTC, as everywhere. */
function clockOf(time: string): string {
  return `${time.slice(11, 19)}Z`
}
