"""Run the longer comparison on CIFAR-10, in as many sittings as it takes.

Each finished job writes a small file into results/, which is part of the repository. The next
sitting runs the jobs that are missing; an interrupted training continues where it was. The
plan and the protocol are in study_plan.py and docs/results_cifar10.md.
"""

import argparse
import math
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import groupby
from pathlib import Path

from cifar_arrays import decode_once
from study_plan import LENGTHS, Job, Plan
from study_work import Study

RESULTS = Path(__file__).resolve().parent / "results"


def waiting(study: Study) -> list[Job]:
    """Return the jobs without result, in order."""
    plan = Plan(study.length, study.equal_time())
    return [job for job in plan.jobs() if study.result(job) is None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="cifar10.tar.xz, or its folder")
    parser.add_argument("--imagenet", type=Path, help="<WordNet ID>_<class>.JPEG, for transfer")
    parser.add_argument("--coco", type=Path, help="annotations/ and train2017/, for detection")
    parser.add_argument("--work-dir", type=Path, required=True, help="folder of all runs")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the result files")
    parser.add_argument("--length", choices=LENGTHS, default="long", help="smoke: only a check")
    parser.add_argument("--processes", type=int, default=2, help="concurrent jobs of one thread")
    parser.add_argument("--minutes", type=float, help="begin no job after this time")
    parser.add_argument("--only", default="", help="regular expression for the jobs to run")
    parser.add_argument("--list", action="store_true", help="print the missing jobs")
    args = parser.parse_args()
    if args.length == "smoke" and args.results == RESULTS:
        sys.exit("error: --length smoke needs another folder --results")
    work = args.work_dir.resolve()
    folders = {
        kind: folder.resolve()
        for kind, folder in (("transfer", args.imagenet), ("detect", args.coco))
        if folder is not None
    }
    seconds = math.inf if args.minutes is None else 60 * args.minutes
    study = Study(work, args.results, LENGTHS[args.length], folders, seconds)
    if args.list:
        print("\n".join(job.label for job in waiting(study) if re.search(args.only, job.label)))
        return
    work.mkdir(parents=True, exist_ok=True)
    decode_once(args.data, work / "arrays")

    def run_all(jobs: list[Job]) -> None:
        with suppress(TimeoutError):
            for job in jobs:
                if job.kind not in ("transfer", "detect") or job.kind in folders:
                    study.run(job)

    run_all([Job("calibrate")])  # alone on the machine
    # Consecutive jobs of a start depend on each other, and all on earlier jobs.
    left = [job for job in waiting(study) if re.search(args.only, job.label)]
    chains = [list(jobs) for _, jobs in groupby(left, key=lambda job: job.start)]
    with ThreadPoolExecutor(args.processes) as pool:
        for finished in [pool.submit(run_all, jobs) for jobs in chains]:
            finished.result()
    print(f"{len(waiting(study))} jobs are left")


if __name__ == "__main__":
    main()
