from __future__ import annotations

from harness import Stage, scenario


@scenario("A long job moves on its owner's screen alone", tags={"live", "demo"}, cast=["bob", "carol"])
def job_progress_is_live(stage: Stage) -> None:
    """A job runs in another process. Its progress is a row like any other, hence live like any other."""
    bob, carol = stage.actor("bob"), stage.actor("carol")

    with stage.step("Bob and Carol look at their jobs", cue="A worker waits for something to do.", budget=5):
        bob.opens("/jobs")
        carol.opens("/jobs")

    with stage.step("Bob starts a report", cue="Nobody asks for the progress: it comes by itself.", budget=30):
        job = bob.starts_job("data_report")
        bob.sees(f"Job {job.id}, data_report", within=2)
        bob.sees_job_progress(job, at_least=1, below=100, within=20)
        bob.sees_job(job, "done", within=30)
        bob.sees("done, 100 %", within=2)

    with stage.step("It only ever moved forward", cue="Every step came, in its order.", budget=2):
        progress = bob.job_progress(job)
        assert progress == sorted(progress), f"the progress went back: {progress}"
        assert len(set(progress)) > 2, f"the progress came in too few steps to be live: {progress}"

    with stage.step("Carol's screen knows nothing of it", budget=10):
        carol.does_not_see(f"Job {job.id},")
