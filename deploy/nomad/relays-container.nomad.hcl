# Three relays under Nomad, in containers (driver docker; relays.nomad.hcl is the same job for hosts without containers).
#
# Before: the image of deploy/container/Containerfile, the Docker plugin with `volumes { enabled = true }` on each client node, and there in the folder `identities` what `sennit mesh init mesh --relays 3` made: mesh.json, users.list,
# relays.list, relays/rN.toml, .key, .cert, readable by `user`. The job's allocation 0 is relay r1, and so on: each allocation has an identity of its
# own and keeps it through restarts, drains and upgrades, wherever it is placed.
#
#   nomad job run -var identities=/etc/sennit -var consul=127.0.0.1:8500 deploy/nomad/relays-container.nomad.hcl
#
# Ports are Nomad's, so clients find the relays through Consul: on the operator's machine `sennit mesh sign --watch --directory consul://…` turns what
# registers into the signed list, which it puts into Consul too; clients are told `--directory consul://…`.
# With mesh_port=443 each relay needs a node, and a client port, of its own: what you want for real.

variable "datacenters" {
  type    = list(string)
  default = ["*"]
}
variable "relays" {
  type        = number
  default     = 3
  description = "How many; an identity each."
}
variable "identities" {
  type        = string
  default     = "/etc/sennit"
  description = "Folder with mesh.json, the lists, and relays/rN.*, on every node that may run a relay."
}
variable "consul" {
  type        = string
  default     = "127.0.0.1:8500"
  description = "The Consul agent of the node, host:port."
}
variable "image" {
  type        = string
  default     = "sennit-relay:0.1.0"
  description = "Another one of it is an upgrade: the relays are replaced one by one."
}
variable "version" {
  type        = string
  default     = "1"
  description = "Anything: to change it is to roll the relays, with no other change."
}
variable "user" {
  type        = string
  default     = "65532:65532"
  description = "Whom the relays run as; must be able to read `identities`."
}
variable "mesh_port" {
  type        = number
  default     = 0
  description = "Port that clients dial; 0: one that Nomad chooses."
}
variable "admin_port" {
  type    = number
  default = 0
}
variable "healthy_for" {
  type        = string
  default     = "10s"
  description = "How long a relay is ready before the next one may go. Clients come back to it meanwhile."
}
variable "drain" {
  type        = string
  default     = "5s"
  description = "How long clients have to move away from a relay that stops."
}
variable "kill_timeout" {
  type        = string
  default     = "30s"
  description = "When a relay that does not end is ended; longer than drain."
}

job "sennit-relays" {
  type        = "service"
  datacenters = var.datacenters
  priority    = 80

  # One at a time, and the next only when the last has been healthy for a while: the order in which a mesh loses nothing.
  update {
    max_parallel      = 1
    health_check      = "checks"
    min_healthy_time  = var.healthy_for
    healthy_deadline  = "2m"
    progress_deadline = "5m"
    auto_revert       = true
  }

  # The same when a node is drained.
  migrate {
    max_parallel     = 1
    health_check     = "checks"
    min_healthy_time = var.healthy_for
    healthy_deadline = "2m"
  }

  group "relay" {
    count = var.relays

    # A failure domain each, as far as there are any.
    spread {
      attribute = "${node.datacenter}"
    }
    spread {
      attribute = "${node.unique.id}"
    }

    # A relay that dies is back in a second; one that keeps dying is tried elsewhere.
    restart {
      attempts = 10
      interval = "5m"
      delay    = "1s"
      mode     = "fail"
    }
    reschedule {
      delay          = "5s"
      delay_function = "exponential"
      max_delay      = "2m"
      unlimited      = true
    }

    network {
      port "mesh" {
        static = var.mesh_port
      }
      port "admin" {
        static = var.admin_port
      }
    }

    task "relay" {
      driver = "docker"
      user   = var.user

      # Allocation 0 is r1: the shell counts, and becomes the relay. The network is the host's: a relay is network, and a bridge before it costs time
      # for nothing.
      config {
        image           = var.image
        network_mode    = "host"
        entrypoint      = ["/bin/sh", "-c"]
        readonly_rootfs = true
        cap_drop        = ["all"]
        mount {
          type     = "bind"
          source   = var.identities
          target   = "/etc/sennit"
          readonly = true
        }
        args = [join(" ", [
          "exec node /opt/sennit/cli/bin/sennit.mjs relay",
          "--config /etc/sennit/relays/r$((NOMAD_ALLOC_INDEX + 1)).toml",
          "--listen \"$NOMAD_IP_mesh:$NOMAD_PORT_mesh\"",
          "--admin \"$NOMAD_IP_admin:$NOMAD_PORT_admin\"",
          "--url \"http://$NOMAD_IP_mesh:$NOMAD_PORT_mesh\"",
          "--directory \"consul://$CONSUL\"",
          "--drain ${var.drain}",
        ])]
      }

      env {
        CONSUL             = var.consul
        SENNIT_JOB_VERSION = var.version
      }

      # SIGTERM drains: clients move away, then the relay ends by itself.
      kill_signal  = "SIGTERM"
      kill_timeout = var.kill_timeout

      resources {
        cpu        = 250
        memory     = 512
        memory_max = 2048
      }

      # Health for deployments and drains, and where Prometheus finds the metrics. Clients find the relay by its own entry, sennit-relay,
      # which it keeps alive by a TTL check and marks while it drains.
      service {
        name     = "sennit-relay-admin"
        provider = "consul"
        port     = "admin"
        tags     = ["metrics"]

        check {
          name     = "ready"
          type     = "http"
          path     = "/readyz"
          interval = "2s"
          timeout  = "1s"
        }
      }
    }
  }
}
