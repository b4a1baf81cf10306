"""Work on several machines that Ray brings together; ray is imported here alone, and only when it is asked for.

`connecting` finds the cluster. Files: `spread` has the model at several nodes, `files` the job, `decoder` and
`answerer` what runs at the nodes, `ranges` and `pieces` what is done where and in which order, without Ray.
"""
