# Agents of the test set as a Nomad batch job: an allocation is an agent.
#
#   sennit test run load.xlsx --agents 4 --coordinator 10.0.0.5:7700 --token T --mesh mesh      # on a machine that the nodes reach
#   nomad job run -var coordinator=http://10.0.0.5:7700 -var token=T -var agents=4 deploy/agents/agents.nomad.hcl
# For TLS: --coordinator https://…, and the URL that the coordinator prints then (https://10.0.0.5:7700#sha256=…), in quotes.
#
# The job is complete when the run is over. For a workbook with zones run it once for each, with its own name and ranks:
#   -var job=agents-eu -var zone=eu -var datacenters='["eu"]' -var agents=2 -var size=4 -var first_rank=0
#   -var job=agents-us -var zone=us -var datacenters='["us"]' -var agents=2 -var size=4 -var first_rank=2

variable "job" {
  type    = string
  default = "sennit-agents"
}
variable "datacenters" {
  type    = list(string)
  default = ["*"]
}
variable "coordinator" {
  type        = string
  description = "http://HOST:PORT, as the nodes reach it."
}
variable "token" {
  type        = string
  description = "The coordinator's. Who can read jobs can read it: make one for each run."
}
variable "agents" {
  type    = number
  default = 4
}
variable "size" {
  type        = number
  default     = 0
  description = "How many agents the run has in all; 0: those of this job."
}
variable "first_rank" {
  type    = number
  default = 0
}
variable "zone" {
  type        = string
  default     = ""
  description = "Run clients of this zone only; empty: of any."
}
variable "sennit" {
  type        = string
  default     = "sennit"
  description = "The program, the coordinator's version of it."
}
variable "user" {
  type        = string
  default     = "sennit"
  description = "Whom the agents run as; empty when the Nomad agent is no root and they run as it does."
}

job "agents" {
  id          = var.job
  name        = var.job
  type        = "batch"
  datacenters = var.datacenters

  group "agent" {
    count = var.agents

    # An agent serves one run. One that is lost makes the run inconclusive; another in its place could not take its share over.
    restart {
      attempts = 0
      mode     = "fail"
    }
    reschedule {
      attempts  = 0
      unlimited = false
    }

    spread {
      attribute = "${node.unique.id}"
    }

    task "agent" {
      driver = "raw_exec"
      user   = var.user

      config {
        command = "/bin/sh"
        args    = ["-c", "RANK=$((FIRST_RANK + NOMAD_ALLOC_INDEX)) exec ${var.sennit} test agent"]
      }

      env {
        COORDINATOR = var.coordinator
        TOKEN       = var.token
        FIRST_RANK  = var.first_rank
        SIZE        = var.size == 0 ? var.agents : var.size
        ZONE        = var.zone
      }

      # It tells the coordinator that it goes.
      kill_signal  = "SIGINT"
      kill_timeout = "15s"

      resources {
        cpu        = 1000
        memory     = 1024
        memory_max = 4096
      }
    }
  }
}
